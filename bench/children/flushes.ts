// Writes and updates in a process whose every flush is made slow, with marks around every batch.

import { mkdirSync, rmdirSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { change, writeIndex } from '../contenders/index-file'
import { updaters } from '../contenders/updaters'
import { writers } from '../contenders/writers'
import { serve } from './child'
import { markOf, type Question } from './marks'

const data = Buffer.alloc(1024, 'a heading as any other\n')

async function prepare(question: Question): Promise<(number: number) => Promise<unknown>> {
  const { contender, records, folder } = question
  if (records) {
    const path = join(folder, 'index.json')
    await writeIndex(path, records)
    const update = await updaters.find(({ name }) => name === contender)?.open(path)
    if (update) return (number) => update(change(number))
  }
  const writer = writers.find(({ name }) => name === contender)
  if (writer) return (number) => writer.write(join(folder, `${number}.json`), data)
  throw new Error(`nobody is called ${contender}`)
}

serve(async (question: Question): Promise<number> => {
  const { operations, atOnce, folder } = question
  await mkdir(folder)
  const operate = await prepare(question)
  const mark = (which: 'begin' | 'end') => {
    const path = join(folder, markOf(question, which))
    mkdirSync(path)
    rmdirSync(path)
  }
  mark('begin')
  const start = performance.now()
  const numbers = Array.from({ length: operations }, (_, number) => number)
  if (atOnce) await Promise.all(numbers.map(operate))
  else for (const number of numbers) await operate(number)
  const took = performance.now() - start
  mark('end')
  await rm(folder, { recursive: true })
  return took
})
