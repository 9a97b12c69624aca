// Starts a server, on the loopback interface unless it is told otherwise, and waits until it answers.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** A machine that is busy with a build starts a server ten times slower than an idle one. */
const PATIENCE_MS = 60_000

/**
 * @typedef {object} Plan
 * @property {number} ports how many it listens on
 * @property {string} [host] the address that it listens on
 * @property {(dir: string, ports: number[]) => Command} command
 * @property {string} [ready] the path that answers when it is ready, whatever the status
 *
 * @typedef {object} Command
 * @property {string} command
 * @property {string[]} args
 * @property {string[]} [leftovers] what it leaves outside its folder
 */

/**
 * @param {Plan} plan
 * @returns {Promise<{ url: string, ports: number[], pid: number, stop(): Promise<void> }>} `url`: of the first port
 */
export async function startServer({ ports: count, host = '127.0.0.1', command: plan, ready = '/' }) {
  // Another program may take a free port before the server does.
  for (let attempt = 1; ; attempt++) {
    const dir = mkdtempSync(join(tmpdir(), 'atomic-server-'))
    const ports = await freePorts(count, host)
    const running = run(dir, plan(dir, ports))
    const url = `http://${host}:${ports[0]}`
    if (await answers(url + ready, running.ended)) return { url, ports, ...running }
    await running.stop()
    if (attempt === 3) throw new Error(`the server did not start: ${running.output().slice(-500)}`)
  }
}

function run(/** @type {string} */ dir, /** @type {Command} */ { command, args, leftovers = [] }) {
  const guarded = JSON.stringify({ command, args, cwd: dir, leftovers })
  // In a process group of its own: an interrupt of the terminal is for the run, which then closes the pipe.
  const guard = spawn(process.execPath, [join(import.meta.dirname, 'guard.mjs'), guarded], {
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: process.platform !== 'win32',
  })
  let text = ''
  for (const stream of [guard.stdout, guard.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk) => {
      text = (text + chunk).slice(-4096)
    })
  }
  const state = { ended: false }
  const exit = once(guard, 'close').then(() => {
    state.ended = true
  })
  return {
    pid: guard.pid ?? 0,
    ended: () => state.ended,
    output: () => text,
    async stop() {
      guard.stdin.end()
      await exit
    },
  }
}

/** Waits for any HTTP response at all. */
async function answers(/** @type {string} */ url, /** @type {() => boolean} */ ended) {
  for (const end = Date.now() + PATIENCE_MS; Date.now() < end && !ended(); await sleep(50)) {
    const answer = await fetch(url, { signal: AbortSignal.timeout(2000) }).catch(() => undefined)
    await answer?.arrayBuffer().catch(() => {})
    if (answer) return true
  }
  return false
}

/** Different ports that nobody listens on. */
async function freePorts(/** @type {number} */ count, /** @type {string} */ host) {
  const listeners = await Promise.all(
    Array.from({ length: count }, async () => {
      const listener = createServer().listen(0, host)
      await once(listener, 'listening')
      return listener
    }),
  )
  return listeners.map((listener) => {
    const { port } = /** @type {import('node:net').AddressInfo} */ (listener.address())
    listener.close()
    return port
  })
}

/** Repeats a request for a while: a server that answers may not have all its parts up. */
export async function expectOk(/** @type {string} */ url, /** @type {RequestInit} */ request) {
  let last = ''
  for (const end = Date.now() + 30_000; Date.now() < end; await sleep(100)) {
    const answer = await fetch(url, request).catch((/** @type {Error} */ error) => error)
    if (!(answer instanceof Error) && answer.ok) return
    last = answer instanceof Error ? String(answer) : `${answer.status} ${await answer.text()}`
  }
  throw new Error(`the bucket could not be made: ${last}`)
}
