// One of the processes that publish documents.

import { CONTENT_ENV } from '../../examples/pipeline/lib/content/paths'
import { makeDocument, publishers } from '../contenders/publishers'
import { type Cost, clock } from '../measure/clock'
import { serve } from './child'

export interface Question {
  publisher: string
  /** The content folder. */
  folder: string
  /** Of the documents, which are all published at once. */
  numbers: number[]
  version: number
}

serve(async ({ publisher, folder, numbers, version }: Question): Promise<Cost> => {
  process.env[CONTENT_ENV] = folder
  const found = publishers.find(({ name }) => name === publisher)
  if (!found) throw new Error(`no publisher is called ${publisher}`)
  const documents = numbers.map((number) => makeDocument(number, version))
  return clock(() => Promise.all(documents.map(found.publish)))
})
