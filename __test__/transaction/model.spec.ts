// The model of the transaction protocol (docs/transactions.pml): spin finds no way through kills and power cuts that breaks
// it, and finds one as soon as a step is left out. `npm run model` explores the whole configurations, and `npm test` smaller ones.

import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, describe, expect } from 'vitest'
import { root } from '../../scripts/tools.mjs'
import { needs } from '../helpers/needs'

const run = promisify(execFile)
const model = join(root, 'docs/transactions.pml')

/** `npm run model`. */
const isWhole = Boolean(process.env.ATOMIC_SOAK)
// A compiler that takes long pays where millions of states are searched, and so does a large table of states.
const optimize = isWhole ? '-O1' : '-O0'
const table = isWhole ? [] : ['-w20']

type Verifier = 'safety' | 'cycles'

const folder = mkdtempSync(join(tmpdir(), 'atomic-model-'))
afterAll(() => rmSync(folder, { recursive: true }))

async function compile(name: Verifier, define: string): Promise<string> {
  await run('spin', ['-a', model], { cwd: folder })
  await run('cc', [optimize, '-w', define, '-DNOREDUCE', '-o', name, 'pan.c'], { cwd: folder })
  return join(folder, name)
}

/** For broken promises and deadlocks, and for runs that never end. */
const kinds = { safety: { define: '-DSAFETY', args: [] }, cycles: { define: '-DNP', args: ['-l'] } }

/** Each is compiled by the first test that asks for it. */
const verifiers: Partial<Record<Verifier, Promise<string>>> = {}

/** The switches that the model reads from its environment: another name would change nothing. */
const known = new Set([
  'CRASHES',
  ...Array.from(readFileSync(model, 'utf8').matchAll(/ _\((\w+)\)/g), ([, name]) => name),
])

/** What the search says of the model with these switches. */
async function search(dir: string, switches: readonly string[], verifier: Verifier = 'safety') {
  const { define, args } = kinds[verifier]
  verifiers[verifier] ??= compile(verifier, define)
  const env = Object.fromEntries(
    switches.map((text) => text.split('=')).map(([name, value = '1']) => [name, value]),
  )
  expect([...known]).toEqual(expect.arrayContaining(Object.keys(env)))
  const { stdout } = await run(await verifiers[verifier], ['-m10000', ...table, ...args], { cwd: dir, env })
  return stdout
}

function expectWhole(report: string): void {
  expect(report).toContain('errors: 0')
  expect(report).not.toMatch(/Search not completed|max search depth too small/)
}

const testModel = needs('spin', 'a C compiler')

/** The switches of a configuration; those that make it small are for `npm test` alone. */
const configuration = (switches: string[], small: string[]) => (isWhole ? switches : [...switches, ...small])

describe('no run breaks a promise', () => {
  for (const [title, switches] of [
    [
      'with two transactions that update one index, and crashes of any kind',
      configuration([], ['CRASHES=1', 'NO_WRITE']),
    ],
    [
      'with transactions that have only the root in common',
      configuration(['APART', 'CRASHES=1'], ['NO_WRITE']),
    ],
    ['with a removal, and the same file written again', ['REMOVAL', 'CRASHES=1']],
    ['with a move, and a writer that replaces what is moved', ['MOVE', 'CRASHES=1']],
    ['with a flush that fails', configuration(['FAULT', 'CRASHES=1'], ['NO_WRITE'])],
  ] as const) {
    testModel(title, async ({ dir }) => expectWhole(await search(dir, switches)))
  }

  testModel('and none goes on for ever', async ({ dir }) =>
    expectWhole(await search(dir, configuration(['CRASHES=1'], ['NO_WRITE']), 'cycles')),
  )
})

describe('a run breaks a promise', () => {
  for (const [title, ...switches] of [
    ['without the flush of the record', 'MUT_NO_RECORD_FLUSH'],
    ['without the flush of the staged files', 'MUT_NO_STAGED_FLUSH'],
    ['without the flush of the directories before `finished`', 'MUT_NO_DIRECTORY_FLUSH'],
    ['without the flush of what is replaced', 'MUT_OLD_NOT_FLUSHED'],
    ['without the flushes that a recovery begins with', 'MUT_NO_FIRST_FLUSH', 'NO_WRITE'],
    ['with `finished` before the names', 'MUT_FINISHED_FIRST'],
    ['without the last look', 'MUT_NO_LAST_LOOK'],
    ["without the check of the record's checksum", 'MUT_NO_RECORD_CHECKSUM'],
    ["without the check of the staged files' checksums", 'MUT_NO_STAGED_CHECKSUM'],
    ['with a recovery that overwrites what somebody has changed', 'MUT_OVERWRITE'],
    ['without the pointer', 'MUT_NO_POINTER'],
    ['with a pointer that is not looked at again', 'MUT_POINTER_BLIND', 'NO_WRITE'],
    ["without the root's lock", 'MUT_NO_ROOT_LOCK', 'APART'],
    ['with a removal that takes the same bytes for the same file', 'MUT_OLD_BY_HASH', 'REMOVAL'],
    ['with a move that removes its old name, whatever that is by then', 'MUT_NO_MOVED_LOOK', 'MOVE'],
    ['with a move that puts nothing back', 'MUT_NO_PUT_BACK', 'MOVE'],
    ['with a recovery that does not bring back what was taken away', 'MUT_NO_BRING_BACK', 'MOVE'],
    ['without the flush of the directory that a file was moved from', 'MUT_NO_MOVED_FLUSH', 'MOVE'],
    ['with staged files unlinked before the record is taken back', 'MUT_UNLINK_FIRST', 'FAULT'],
  ] as const) {
    testModel(title, async ({ dir }) => {
      expect(await search(dir, switches)).toContain('assertion violated')
    })
  }

  testModel('with a pointer that stays where no record is', async ({ dir }) => {
    const switches = ['MUT_POINTER_STAYS', 'CRASHES=1']
    expect(await search(dir, switches, 'cycles')).toContain('non-progress cycle')
  })
})
