// The behaviour suite, in each runtime; docs/runtimes.md says what came of it.

import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect } from 'vitest'
import { run } from '../../scripts/tools.mjs'
import { cleanEnv } from '../helpers/packed'
import { drawInto } from './helpers/document'
import { freshProject } from './helpers/project'
import { nodeOf, npmInstall, provided } from './helpers/provided'
import { test } from './helpers/test'

interface Check {
  name: string
  problem: string
}

const folder = freshProject('runtime')
afterAll(() => rmSync(folder, { recursive: true, force: true }))

let installed: Promise<void> | undefined
function install(): Promise<void> {
  installed ??= npmInstall(folder, '@pipeline/atomic')
  return installed
}

const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`

/** Bun as npm has it: a package for each platform. */
async function bun(version: string): Promise<string> {
  const name = `@oven/bun-${platform.replace('arm64', 'aarch64')}`
  const home = await provided(`bun-${version}`, { private: true, dependencies: { [name]: version } })
  return join(home, 'node_modules', name, 'bin/bun')
}

async function deno(version: string): Promise<string> {
  const name = `@deno/${platform}${process.platform === 'linux' ? '-glibc' : ''}`
  const home = await provided(`deno-${version}`, { private: true, dependencies: { [name]: version } })
  return join(home, 'node_modules', name, 'deno')
}

/** What the package itself needs; the suite starts processes, for which Deno reads the environment. */
const DENO = ['run', '--allow-ffi', '--allow-read', '--allow-write']

interface Runtime {
  make(version: string): Promise<string>
  version: string
  flags?: string[]
  /** Checks that fail there, and why. */
  differences?: Record<string, string>
  /** Those that fail in some runs. */
  sometimes?: Record<string, string>
}

const before20_16: Runtime['differences'] = {
  'an update of its own index inside its function is refused':
    'it waits, until its `timeout`: finding it out takes Node.js 20.16',
  'an index is watched': '`watchIndex` needs Node.js 20.16, and says so (`ERR_ATOMIC_UNSUPPORTED`)',
}

const runtimes: Record<string, Runtime> = {
  'Node.js 20.4': { make: nodeOf, version: '20.4.0', differences: before20_16 },
  'Node.js 20': { make: nodeOf, version: '20.20.2' },
  'Node.js 22': { make: nodeOf, version: '22.23.5' },
  'Node.js 24': { make: nodeOf, version: '24.22.3' },
  'Node.js 26': { make: nodeOf, version: '26.12.1' },
  Bun: {
    make: bun,
    version: '1.4.5',
    differences: {
      'atomicWrite in an exit handler':
        'the write is lost, without an error: Bun ends as soon as the handler has returned. `atomicWriteSync` writes',
    },
  },
  Deno: {
    make: deno,
    version: '2.9.6',
    flags: [...DENO, '--allow-run', '--allow-env'],
    sometimes: {
      'atomicWrite in an exit handler':
        'in some runs the write is lost, without an error: Deno ends while it is under way. `atomicWriteSync` writes',
    },
  },
}

const rows: string[] = []
const explained: string[] = []

for (const [name, { make, version, flags = [], differences = {}, sometimes = {} }] of Object.entries(
  runtimes,
)) {
  test(`${name} behaves as the others, but for what is known`, async () => {
    const program = await make(version)
    await install()
    const report = join(folder, `${name}.json`)
    const args = [...flags, join(folder, 'behaviour.cjs'), join(folder, name), report]
    const { output } = await run(program, args, {
      cwd: folder,
      quiet: true,
      env: cleanEnv,
      timeout: 5 * 60_000,
    })
    const checks: Check[] = JSON.parse(readFileSync(report, 'utf8'))
    expect(checks.pop()?.name, output).toBe('the end')
    const failed = checks.filter((check) => check.problem !== '' && !(check.name in sometimes))
    // A known one that is no more is to be taken off the list.
    expect(failed.map((check) => check.name).sort(), JSON.stringify(failed, null, 1)).toEqual(
      Object.keys(differences).sort(),
    )
    const known = Object.entries({ ...differences, ...sometimes })
    rows.push(`| ${name} | ${version} | ${checks.length - known.length} of ${checks.length} |`)
    for (const [check, why] of known) explained.push(`- **${name}**, ${check}: ${why}.`)
  })
}

test('Deno loads it with the flags that the loader asks for', async () => {
  const program = await deno(runtimes.Deno?.version ?? '')
  await install()
  const env = { ...cleanEnv, NO_COLOR: '1', DENO_NO_PROMPT: '1' }
  const output = async (...flags: string[]) =>
    (await run(program, ['run', ...flags, 'one.cjs'], { cwd: folder, quiet: true, env })).output
  expect(await output(...DENO.slice(1))).toBe('1\n')
  const refused = await output('--allow-read', '--allow-write')
  expect(refused).toMatch(
    /^ERR_ATOMIC_NO_ADDON @pipeline\/atomic cannot be loaded on \S+: Requires ffi access to /,
  )
  expect(refused).toContain('\nStart Deno with --allow-ffi for the addon')
})

afterAll(() => {
  if (rows.length < Object.keys(runtimes).length) return
  drawInto(
    'docs/runtimes.md',
    `On ${process.platform}-${process.arch}:\n\n| runtime | version | checks that held |\n|---|---|--:|\n${rows.join('\n')}\n\nWhat differs:\n\n${explained.join('\n')}`,
  )
})
