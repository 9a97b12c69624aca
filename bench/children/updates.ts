// One of the processes that change an index together. It prepares in a separate step, so that `go` consists of
// updates only.

import { change } from '../contenders/index-file'
import { updaters } from '../contenders/updaters'
import { serve } from './child'

export type Question =
  | { do: 'prepare'; updater: string; path: string }
  | { do: 'go'; process: number; updates: number; atOnce: boolean }

/** For each update, in the order of the calls: how many shared its commit. */
export type BatchSizes = number[]

let update: Awaited<ReturnType<(typeof updaters)[number]['open']>> | undefined

serve(async (question: Question): Promise<BatchSizes> => {
  if (question.do === 'prepare') {
    const updater = updaters.find(({ name }) => name === question.updater)
    update = await updater?.open(question.path)
    return []
  }
  const run = update
  if (!run) throw new Error('nothing was prepared')
  const numbers = Array.from({ length: question.updates }, (_, number) => number * 7)
  if (question.atOnce) return Promise.all(numbers.map((number) => run(change(number, question.process))))
  const sizes = []
  for (const number of numbers) sizes.push(await run(change(number, question.process)))
  return sizes
})
