// What makes a clone ready to run says last what was wrong, and leaves nothing running behind it.

import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { root } from '../scripts/tools.mjs'

/** Scripts of shells stand for cargo, and `ps` finds what it has started. */
const cannot = process.platform === 'win32' || spawnSync('ps').error !== undefined

/** Runs the script in a clone in which cargo builds for a long time, and npm fails when the build has begun. */
async function prepare(node = '') {
  const clone = mkdtempSync(join(tmpdir(), 'atomic-prepare-'))
  onTestFinished(() => rmSync(clone, { recursive: true }))
  for (const name of ['scripts', 'package.json', 'package-lock.json', 'Cargo.toml', 'index.js']) {
    cpSync(join(root, name), join(clone, name), { recursive: true })
  }
  const manifest = JSON.parse(readFileSync(join(clone, 'package.json'), 'utf8'))
  if (node) writeFileSync(join(clone, 'package.json'), JSON.stringify({ ...manifest, engines: { node } }))
  const [cargo, begun] = [join(clone, 'cargo'), join(clone, 'begun')]
  // The compiler is a process of its own. It has cargo's output, so that the script, which waits for the end of that, ends after it.
  const build = `sleep 600 & : > '${begun}'; wait; echo built >&2`
  writeFileSync(cargo, `#!/bin/sh\n[ "$1" = --version ] && { echo cargo 99.0.0; exit; }\n${build}\n`)
  chmodSync(cargo, 0o755)
  const npm = join(clone, 'npm-cli.js')
  const wait = `while (!require('fs').existsSync(${JSON.stringify(begun)})) {}`
  writeFileSync(npm, `${wait}\nconsole.error('no network')\nprocess.exit(1)\n`)
  const script = spawn(process.execPath, [join(clone, 'scripts/prepare.mjs')], {
    detached: true,
    env: { ...process.env, CARGO: cargo, npm_execpath: npm },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  onTestFinished(() => {
    try {
      process.kill(-(script.pid ?? 0), 'SIGKILL')
    } catch {
      // All of it has ended.
    }
  })
  let output = ''
  for (const stream of [script.stdout, script.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      output += text
    })
  }
  const code = await new Promise((resolve) => script.on('close', resolve))
  return { code, lines: output.trim().split('\n'), hasBuilt: existsSync(begun) }
}

test.skipIf(cannot)('when npm fails, the build is ended, and that is said last', async () => {
  const { code, lines } = await prepare()
  expect(lines).toEqual(['Installing the development packages', 'no network', 'npm ci failed: see above.'])
  expect(code).toBe(1)
})

test.skipIf(cannot)('a Node that is too old is all that is said', async () => {
  const { code, lines, hasBuilt } = await prepare('>=999.0.0')
  expect(lines).toEqual([`Node 999.0.0 or newer is needed; this is ${process.version}.`])
  expect(code).toBe(1)
  expect(hasBuilt).toBe(false)
})
