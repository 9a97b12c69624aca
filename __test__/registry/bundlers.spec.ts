// What bundlers make of a program that uses the package, by the configurations that docs/bundlers.md shows.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, inject, onTestFinished } from 'vitest'
import { readJson } from '../helpers/packed'
import { drawInto } from './helpers/document'
import { env, freshProject, nodeIn } from './helpers/project'
import { npmInstall } from './helpers/provided'
import { freePort } from './helpers/registry'
import { test } from './helpers/test'

const folder = freshProject('bundlers')
afterAll(() => rmSync(folder, { recursive: true, force: true }))

let installed: Promise<void> | undefined
function install(): Promise<void> {
  installed ??= npmInstall(folder, '@pipeline/atomic')
  return installed
}

/** How a bundler is started with a configuration. */
const commands: Record<string, (config: string) => string[]> = {
  esbuild: (config) => [config],
  webpack: (config) => ['node_modules/webpack-cli/bin/cli.js', '--config', `./${config}`],
  rollup: (config) => ['node_modules/rollup/dist/bin/rollup', '--config', config],
  rolldown: (config) => ['node_modules/rolldown/bin/cli.mjs', '--config', config],
  vite: (config) => ['node_modules/vite/bin/vite.js', 'build', '--config', config],
}

const rows: string[] = []
const configurations = readdirSync(folder).filter((file) => /\.(in|out)side\.js$/.test(file))

for (const config of configurations) {
  const [bundler = '', where] = config.split('.')
  const isInside = where === 'inside'
  test(`${bundler} ${isInside ? 'takes the addon along' : 'leaves the package outside'}`, async () => {
    await install()
    rmSync(join(folder, 'dist'), { recursive: true, force: true })
    const output = await nodeIn(folder, ...(commands[bundler]?.(config) ?? []))
    const dist = join(folder, 'dist')
    expect(
      readdirSync(dist, { recursive: true }).some((file) => `${file}`.endsWith('.node')),
      output,
    ).toBe(isInside)
    const program = readdirSync(dist).find((file) => /^main\.c?js$/.test(file)) ?? ''
    if (isInside) renameSync(join(folder, 'node_modules'), join(folder, 'away'))
    try {
      expect(await nodeIn(folder, join(dist, program))).toBe('{ bytes: 7 }\n')
    } finally {
      if (isInside) renameSync(join(folder, 'away'), join(folder, 'node_modules'))
    }
    const { version } = readJson(join(folder, 'node_modules', bundler, 'package.json'))
    rows.push(`| ${bundler} ${version} | ${isInside ? 'taken along' : 'outside'} | \`${config}\` |`)
  })
}

test('Next.js leaves the package outside, and its standalone server has the addon', async () => {
  const site = freshProject('next')
  onTestFinished(() => rmSync(site, { recursive: true, force: true }))
  await npmInstall(site, '@pipeline/atomic')
  await nodeIn(site, 'node_modules/next/dist/bin/next', 'build')
  // Elsewhere, without what it was built from.
  const server = join(site, 'server')
  cpSync(join(site, '.next/standalone'), server, { recursive: true })
  rmSync(join(site, 'node_modules'), { recursive: true })
  const port = await freePort()
  const started = spawn(inject('node'), ['server.js'], {
    cwd: server,
    env: { ...process.env, ...env, PORT: `${port}`, HOSTNAME: '127.0.0.1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  onTestFinished(async () => {
    started.kill()
    if (started.exitCode === null && started.signalCode === null) await once(started, 'exit')
  })
  await said(started, /Ready/)
  const answer = await fetch(`http://127.0.0.1:${port}/write`)
  expect([answer.status, await answer.json()]).toEqual([200, { by: 'next' }])
  expect(readFileSync(join(server, 'written.json'), 'utf8')).toBe('{ "by": "next" }')
  rows.push(
    `| next ${readJson(join(server, 'node_modules/next/package.json')).version} | outside | \`next.config.js\` |`,
  )
})

/** Resolves when a program has printed that. */
function said(program: ChildProcess, words: RegExp): Promise<void> {
  return new Promise((resolve, reject) => {
    let output = ''
    for (const stream of [program.stdout, program.stderr]) {
      stream?.on('data', (chunk) => {
        output += chunk
        if (words.test(output)) resolve()
      })
    }
    program.on('error', reject)
    program.on('exit', () => reject(new Error(`it ended:\n${output}`)))
  })
}

afterAll(() => {
  if (rows.length < configurations.length + 1) return
  drawInto('docs/bundlers.md', `| bundler | the addon | configuration |\n|---|---|---|\n${rows.join('\n')}`)
})
