/** Failure 5: nothing is fsynced, so the files survive a crash of the process but not of the machine. */

import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { expect, test } from 'vitest'
import { aDocument, cli, FIXTURES, inputFolder, LEFTOVER, useWorkplace } from './support'

const place = useWorkplace()

test('every write of a publish says that it is on disk and was read back', async () => {
  const folder = inputFolder(place, 'a', [aDocument()])
  const run = await cli(['publish', folder], { preload: [join(FIXTURES, 'log-results.ts')] })
  expect(run.code).toBe(0)

  const results = run.stderr
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  const files = results.map(({ path }) => path.slice(place.content.length + 1))
  expect(files.filter((file) => !file.includes('lock-metrics'))).toEqual([
    '_system/topicIndex.json',
    'blog/red-oak.json',
    '_system/contentIndex.json',
    '_system/publish-metrics.json',
    '_system/topicIndex.json',
  ])
  for (const result of results)
    expect(result).toMatchObject({ written: true, durable: true, verified: 'cache' })
})

const canTrace = spawnSync('strace', ['-f', '-o', '/dev/null', 'true']).status === 0

test.skipIf(!canTrace)(
  'needs strace: each file is fsynced before it gets its name, and its folder after',
  async () => {
    const folder = inputFolder(place, 'a', [aDocument()])
    const log = join(place.input, 'trace')
    const calls = 'trace=fsync,fdatasync,linkat,rename,renameat,renameat2'
    const run = await cli(['publish', folder], { under: ['strace', '-f', '-y', '-e', calls, '-o', log] })
    expect(run).toMatchObject({ code: 0 })

    // One document, so one commit after the other: what lies between two of them belongs to one.
    const trace = finishedCalls(readFileSync(log, 'utf8')).filter((call) => call.includes(place.content))
    const commits = trace.flatMap((call, i) => (isCommit(call) ? [i] : []))
    expect(commits.length).toBeGreaterThanOrEqual(5)
    for (const [n, i] of commits.entries()) {
      const before = trace.slice(n === 0 ? 0 : commits[n - 1], i)
      const after = trace.slice(i + 1, commits[n + 1])
      expect(before.some(isFileSync), `before ${trace[i]}`).toBe(true)
      expect(after.some(isFolderSync), `after ${trace[i]}`).toBe(true)
    }
  },
)

/** Gives a file its final name, which no temp file has. */
function isCommit(call: string): boolean {
  const name = [...call.matchAll(/"([^"]*)"/g)].at(-1)?.[1] ?? ''
  return /^(?:linkat|rename)/.test(call) && name !== '' && !LEFTOVER.test(basename(name))
}

/** Of a staged file: one without a name is known by its inode number. */
function isFileSync(call: string): boolean {
  return /^f(?:data)?sync\(\d+<.*(?:#\d+>\(deleted\)|\.atomic-tmp>)\) += 0$/.test(call)
}

function isFolderSync(call: string): boolean {
  return /^fsync\(\d+<.*\/(?:blog|_system)>\) += 0$/.test(call)
}

/** Calls that another thread's interrupted, in one piece again, at the place of their end. */
function finishedCalls(trace: string): string[] {
  const open = new Map<string, string>()
  return trace.split('\n').flatMap((line) => {
    const [, thread = '', call = ''] = /^(\d+) +(.*)$/.exec(line) ?? []
    if (call.endsWith('<unfinished ...>')) {
      open.set(thread, call.replace(/<unfinished \.\.\.>$/, ''))
      return []
    }
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(call)
    return [resumed ? `${open.get(thread) ?? ''}${resumed[1]}` : call]
  })
}
