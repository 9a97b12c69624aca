/** The program as a process, as users start it. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { inject, onTestFinished } from 'vitest'

export interface Ran {
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
}

interface Options {
  cwd: string
  /** Standard input: its content, or a descriptor. */
  input?: string | Buffer | number
  env?: NodeJS.ProcessEnv
}

/** The path of the program. */
export const program = () => join(inject('addon'), 'dist/cli.js')

/** A program that runs, until the test ends. */
export function start(args: string[], { cwd, input, env }: Options) {
  const child = spawn(process.execPath, [program(), ...args], {
    cwd,
    env: { PATH: process.env.PATH, ...env },
    stdio: [typeof input === 'number' ? input : 'pipe', 'pipe', 'pipe'],
  })
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  const text = { stdout: '', stderr: '' }
  for (const from of ['stdout', 'stderr'] as const) {
    child[from]!.setEncoding('utf8').on('data', (chunk: string) => {
      text[from] += chunk
    })
  }
  child.stdin?.on('error', () => {})
  if (typeof input !== 'number' && input !== undefined) child.stdin?.end(input)
  const ended = once(child, 'close').then(([code, signal]): Ran => ({ code, signal, ...text }))
  return { child, text, ended }
}

/** Runs it to the end; without `input` there is none. */
export const atomic = (args: string[], options: Options): Promise<Ran> =>
  start(args, { input: '', ...options }).ended

/** Waits until something is so. `seen` tells what there is instead, if it does not come. */
export async function until(isSo: () => boolean, seen?: () => string): Promise<void> {
  const start = performance.now()
  while (!isSo()) {
    if (seen && performance.now() - start > 100_000) throw new Error(`It does not come. There is:\n${seen()}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
