// The floor: bench/floor, a Rust program that does the same writes on as many threads as libuv has, without
// Node. It is kept running and asked for one batch at a time, interleaved with the other contenders.

import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { Complaint, root, runCargo } from '../../scripts/tools.mjs'
import { type Guarantees, guarantee } from './guarantees'

export type FloorKind = 'engine' | 'bare'

export const bareFloor = 'floor: system calls'

export const floorContenders: (Guarantees & { kind: FloorKind })[] = [
  { ...guarantee('floor: engine from Rust', 'fsyncFile', 'fsyncDirectory', 'readBack'), kind: 'engine' },
  ...(process.platform === 'linux'
    ? [
        {
          ...guarantee(bareFloor, 'fsyncFile', 'fsyncDirectory', 'readBack'),
          kind: 'bare' as const,
        },
      ]
    : []),
]

/** A request to the floor; `bench/floor/src/main.rs` describes the fields. */
export interface FloorBatch {
  fresh: boolean
  lanes: number
  writes: number
  first: number
  folder: string
}

/** The steps of which `floor: system calls` reports the time, all threads together. */
export const floorSteps = ['create', 'write', 'fsync file', 'read back', 'link, rename', 'fsync dir']

/** Writes in flight occupy at most the threads of libuv's pool: the floor gets as many. */
export const poolThreads = Number(process.env.UV_THREADPOOL_SIZE) || 4

export class Floor {
  private readonly waiting: ((answer: string) => void)[] = []

  private constructor(private readonly child: ChildProcessByStdio<Writable, Readable, null>) {
    createInterface({ input: child.stdout }).on('line', (line) => this.waiting.shift()?.(line))
    child.on('exit', (code, signal) => {
      for (const answer of this.waiting.splice(0)) answer(`error\tthe floor ended: ${signal ?? code}`)
    })
  }

  static async start(): Promise<Floor> {
    return new Floor(spawn(await build(), { stdio: ['pipe', 'pipe', 'inherit'] }))
  }

  /** From now on the content of `file` is written. */
  async use(file: string): Promise<void> {
    await this.ask(['data', file])
  }

  /** Resolves with the milliseconds of the batch and of its steps. */
  async run(
    kind: FloorKind,
    { fresh, lanes, writes, first, folder }: FloorBatch,
  ): Promise<{ wall: number; steps: number[] }> {
    const threads = Math.min(lanes, poolThreads)
    const [wall = Number.NaN, ...steps] = await this.ask([
      'run',
      kind,
      fresh ? 'new' : 'replaced',
      threads,
      lanes,
      writes,
      first,
      folder,
    ])
    return { wall, steps }
  }

  stop(): void {
    this.child.stdin.end()
  }

  /** Figures are milliseconds. */
  private async ask(request: (string | number)[]): Promise<number[]> {
    const answer = await new Promise<string>((resolve) => {
      this.waiting.push(resolve)
      this.child.stdin.write(`${request.join('\t')}\n`)
    })
    const [verdict, ...what] = answer.split('\t')
    if (verdict !== 'ok') throw new Error(`floor: ${what} (${request.join(' ')})`)
    return what.map((figure) => Number(figure) / 1e6)
  }
}

/**
 * Into a target folder of its own: the engine alone is built from the same library as the addon, and cargo keeps the
 * shared library of both under one name.
 */
async function build(): Promise<string> {
  let executable = ''
  const target = join(process.env.CARGO_TARGET_DIR ?? join(root, 'target'), 'floor')
  const { code, stderr } = await runCargo(
    [
      'build',
      '--release',
      '--package=bench-floor',
      `--target-dir=${target}`,
      '--message-format=json-render-diagnostics',
    ],
    {
      quiet: true,
      onLine(line, from) {
        if (from === 'stdout' && line.startsWith('{')) executable = JSON.parse(line).executable ?? executable
      },
    },
  )
  if (code !== 0 || !executable) throw new Complaint(`The floor could not be built:\n${stderr}`)
  return executable
}
