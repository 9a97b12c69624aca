/** Failure 5: nothing is fsynced, so the files survive a crash of the process but not of the machine. */

import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { expect, test } from 'vitest'
import { isDurable } from '../helpers/files'
import { aDocument, cli, FIXTURES, inputFolder, LEFTOVER, useWorkplace } from './support'

const place = useWorkplace()

test('every file of a publish is on disk and was read back', async () => {
  const folder = inputFolder(place, 'a', [aDocument()])
  const run = await cli(['publish', folder], { preload: [join(FIXTURES, 'log-results.ts')] })
  expect(run.code).toBe(0)

  const durable = isDurable(place.content)
  const [publish, statistics] = run.stderr
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  expect(publish).toMatchObject({ name: 'atomicTransaction', path: place.content, durable })
  const written = { action: 'written', verified: 'cache' }
  expect(publish.files).toMatchObject(
    [
      'blog/red-oak.json',
      '_system/topicIndex.json',
      '_system/contentIndex.json',
      '_system/publish-metrics.json',
    ].map((file) => ({ path: join(place.content, file), ...written })),
  )
  expect(statistics).toMatchObject({ written: true, durable, verified: 'cache' })
})

const canTrace = spawnSync('strace', ['-f', '-o', '/dev/null', 'true']).status === 0

test.skipIf(!canTrace)(
  'needs strace: all files and the record are flushed before the first gets its name, and the folders after the last',
  async () => {
    const folder = inputFolder(place, 'a', [aDocument()])
    const log = join(place.input, 'trace')
    const calls = 'trace=fsync,fdatasync,linkat,rename,renameat,renameat2'
    const run = await cli(['publish', folder], { under: ['strace', '-f', '-y', '-e', calls, '-o', log] })
    expect(run).toMatchObject({ code: 0 })

    const trace = finishedCalls(readFileSync(log, 'utf8')).filter(
      (call) => call.includes(place.content) && !/\.journal\.|lock-metrics\.json/.test(call),
    )
    const named = trace.flatMap((call, i) => (isCommit(call) ? [i] : []))
    expect(named).toHaveLength(4)
    const before = trace.slice(0, named[0])
    const after = trace.slice((named.at(-1) ?? 0) + 1)
    expect(before.filter(isFileSync)).toHaveLength(4)
    expect(before.some(isRecordSync), `the record in ${before}`).toBe(true)
    for (const folder of ['blog', '_system'])
      expect(
        after.some((call) => isFolderSync(call, folder)),
        `${folder} after ${after}`,
      ).toBe(true)
  },
)

/** Gives a file its final name, which no temp file has. */
function isCommit(call: string): boolean {
  const name = [...call.matchAll(/"([^"]*)"/g)].at(-1)?.[1] ?? ''
  return /^(?:linkat|rename)/.test(call) && name !== '' && !LEFTOVER.test(basename(name))
}

/** Of a staged file: one without a name is known by its inode number. */
function isFileSync(call: string): boolean {
  return /^f(?:data)?sync\(\d+<.*(?:#\d+>\(deleted\)|\.atomic-(?:tmp|txn)>)\) += 0$/.test(call)
}

function isRecordSync(call: string): boolean {
  return /^fdatasync\(\d+<.*\/\.atomic\/journal>\) += 0$/.test(call)
}

function isFolderSync(call: string, folder: string): boolean {
  return new RegExp(`^fsync\\(\\d+<.*/${folder}>\\) += 0$`).test(call)
}

/** Calls that another thread's interrupted, in one piece again, at the place of their end. */
function finishedCalls(trace: string): string[] {
  const open = new Map<string, string>()
  return trace.split('\n').flatMap((line) => {
    const [, thread = '', call = ''] = /^(\d+) +(.*)$/.exec(line) ?? []
    if (call.endsWith('<unfinished ...>')) {
      open.set(thread, call.replace(/ ?<unfinished \.\.\.>$/, ''))
      return []
    }
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(call)
    return [resumed ? `${open.get(thread) ?? ''}${resumed[1]}` : call]
  })
}
