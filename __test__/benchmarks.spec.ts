// The benchmarks' pages and charts are what the committed results and bench/report give. And what their programs say to a mistake.

import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { beforeAll, expect, test } from 'vitest'
import { docs, drawPages } from '../bench/report/page'
import { root } from '../scripts/tools.mjs'
import { HANG_MS } from './helpers/hang'

test('pages and charts are drawn from the results (else: npm run bench -- --draw)', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'atomic-benchmarks-'))
  try {
    const copy = join(folder, 'docs')
    cpSync(docs, copy, { recursive: true })
    await drawPages(copy)
    const files = (place: string) =>
      readdirSync(place, { recursive: true, encoding: 'utf8' })
        .filter((name) => /\.\w+$/.test(name))
        .sort()
    expect(files(copy)).toEqual(files(docs))
    const stale = files(docs).filter(
      (name) => !readFileSync(join(docs, name)).equals(readFileSync(join(copy, name))),
    )
    expect(stale).toEqual([])
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href

const mistakes: [program: string, args: string[], says: string][] = [
  ['main.ts', ['--non'], "Unknown option '--non'"],
  ['main.ts', ['--suite', 'none'], '--suite must be one of reach, '],
  ['compare/main.ts', ['nothing'], 'No row is about nothing'],
  ['cloud/main.ts', ['--calm=1'], "Option '--calm' does not take an argument"],
]

interface Answer {
  stdout: string
  stderr: string
  status: number | undefined
}

/**
 * Runs each of the command lines in this process, and tells what it said. tsx has to compile most of the same files for all of them.
 */
async function answerAll(commands: [program: string, args: string[]][]) {
  const answers: Answer[] = []
  for (const [program, args] of commands) {
    const answer: Answer = { stdout: '', stderr: '', status: undefined }
    const streams = ['stdout', 'stderr'] as const
    const writes = streams.map((name) => process[name].write)
    for (const name of streams) {
      process[name].write = (text: unknown) => {
        answer[name] += text
        return true
      }
    }
    process.argv = [process.execPath, program, ...args]
    process.exitCode = undefined
    delete require.cache[program]
    require(program)
    // It has not begun with anything else: a mistake is found at once.
    await new Promise(setImmediate)
    answer.status = process.exitCode as number | undefined
    streams.forEach((name, i) => {
      process[name].write = writes[i] as typeof process.stdout.write
    })
    answers.push(answer)
  }
  console.log(JSON.stringify(answers))
}

let answers: Answer[] = []

beforeAll(() => {
  const commands = mistakes.map(([program, args]) => [join(root, 'bench', program), args])
  const folder = mkdtempSync(join(tmpdir(), 'atomic-benchmarks-'))
  const script = join(folder, 'answers.cjs')
  writeFileSync(script, `(${answerAll})(${JSON.stringify(commands)})`)
  const node = ['--import', tsx, script]
  const { status, stdout, stderr } = spawnSync(process.execPath, node, { encoding: 'utf8', timeout: HANG_MS })
  rmSync(folder, { recursive: true })
  // The last mistake's code: nothing keeps the process alive, or ends it otherwise.
  expect({ stderr, status }, stdout).toEqual({ stderr: '', status: 2 })
  answers = JSON.parse(stdout)
})

for (const [i, [program, args, says]] of mistakes.entries()) {
  test(`bench/${program} ${args.join(' ')}: one line, and the exit code 2`, () => {
    const { stdout, stderr, status } = answers[i] as Answer
    expect(stderr.trimEnd().split('\n')).toEqual([expect.stringContaining(says)])
    expect(stdout).toBe('')
    expect(status).toBe(2)
  })
}
