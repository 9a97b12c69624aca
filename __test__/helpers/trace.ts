// The system calls that a write makes, and faults put into them: strace on the one libuv thread that does it.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative, sep } from 'node:path'
import type { Data, WriteOptions, WriteResult } from '@pipeline/atomic'
import { afterAll, onTestFailed, onTestFinished } from 'vitest'
import { inProcess, type RunningProcess } from './processes'
import { WHOLE } from './system-calls'

/** One call of the traced thread, in order. */
export interface Call {
  name: string
  /** How many of that name came before it, and it: what strace calls `when`. */
  nth: number
  args: string
  result: string
}

export interface Written {
  result?: WriteResult
  error?: {
    code: string
    syscall?: string
    committed?: boolean
    message: string
    path?: string
    dest?: string
    offset?: number
  }
}

/** A signal cannot be sent to another process: `abort` makes one there that is aborted when a block is written. */
type Options = Omit<WriteOptions, 'signal'> & { abort?: boolean }

/** An array is written by `AtomicFile`, piece by piece. */
export type Content = Data | Data[]

export interface Traced extends Written {
  calls: Call[]
}

/** A process that writes what it is told to, on one thread that is known by its id. */
export class Writer {
  private constructor(
    private readonly process: RunningProcess,
    private readonly thread: number,
  ) {}

  /** One for all tests that ask for it, in a file that calls this before its tests. */
  static forAll(): () => Promise<Writer> {
    let writer: Promise<Writer> | undefined
    const end = async () => {
      const ended = writer
      writer = undefined
      await ended?.then(
        ({ process }) => process.kill(),
        () => {},
      )
    }
    afterAll(end)
    return () => {
      writer ??= Writer.start(undefined, true)
      // It may answer what such a test has asked for when the next one asks.
      onTestFailed(end)
      return writer
    }
  }

  static async start(before?: string, isKept = false): Promise<Writer> {
    const process = inProcess(
      async ({ AtomicFile, atomicWrite, require, send, receive, until, openBelow }) => {
        const fs = require('node:fs') as typeof import('node:fs')
        const threads = (): string[] => fs.readdirSync('/proc/self/task')
        const known = threads()
        // The first use of libuv's pool starts its threads: here one.
        await fs.promises.stat('/')
        send(Number(threads().find((id) => !known.includes(id))))
        const isWrittenTo = (dir: string) => (fd: string) => {
          try {
            const path = `/proc/self/fd/${fd}`
            return fs.readlinkSync(path).startsWith(`${dir}/`) && fs.statSync(path).size > 0
          } catch {
            // The descriptor that the listing was read through.
            return false
          }
        }
        for (;;) {
          const { path, data, options, fault } = await receive()
          const dir = path.slice(0, path.lastIndexOf('/'))
          const { abort, ...rest } = options ?? {}
          const controller = new AbortController()
          if (abort) {
            const isWritten = () => fs.readdirSync('/proc/self/fd').some(isWrittenTo(dir))
            void until(isWritten).then(() => controller.abort())
          }
          const given = abort ? { ...rest, signal: controller.signal } : rest
          const inPieces = async (pieces: Data[]) => {
            const file = await AtomicFile.open(path, given)
            try {
              for (const piece of pieces) await file.write(piece)
              return await file.commit()
            } finally {
              await file[Symbol.asyncDispose]()
            }
          }
          const writing = Array.isArray(data) ? inPieces(data) : atomicWrite(path, data, given)
          const answer = await writing.then(
            (result) => ({ result }),
            ({ code, syscall, committed, message, path, dest, offset }) => ({
              error: { code, syscall, committed, message, path, dest, offset },
            }),
          )
          // A replaced file may be closed a moment after the answer. What is refused a close stays open.
          if (!fault?.startsWith('close')) await until(() => openBelow(dir).length === 0)
          send(answer)
        }
      },
      [],
      { env: { UV_THREADPOOL_SIZE: '1' }, isKept, ...(before === undefined ? {} : { before }) },
    )
    return new Writer(process, await process.next())
  }

  /** Nothing is open in the folder of `path` afterwards. */
  async write(path: string, data: Content, options?: Options, fault?: string): Promise<Written> {
    this.process.send({ path, data, options, fault })
    return this.process.next()
  }

  /** Writes under strace; `fault` is its option `inject`. */
  async traced(path: string, data: Content, options?: Options, fault?: string): Promise<Traced> {
    const dir = mkdtempSync(join(tmpdir(), 'atomic-trace-'))
    onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
    const out = join(dir, 'calls')
    const to = ['-o', out, '-p', `${this.thread}`]
    const args = ['-y', ...WHOLE, ...to, ...(fault ? ['-e', `inject=${fault}`] : [])]
    const strace = spawn('strace', args, { stdio: ['ignore', 'ignore', 'pipe'] })
    const exit = once(strace, 'exit')
    await attached(strace)
    const answer = await this.write(path, data, options, fault)
    strace.kill('SIGINT')
    await exit
    // What else the thread does is libuv's: waking the event loop up.
    const [test = ''] = relative(tmpdir(), path).split(sep)
    const folder = join(tmpdir(), test)
    const ours = ({ args, result }: Call) => args.includes(folder) || result.includes(folder)
    return { ...answer, calls: parse(readFileSync(out, 'utf8')).filter(ours) }
  }
}

async function attached(strace: ChildProcess): Promise<void> {
  let output = ''
  for await (const text of strace.stderr ?? []) {
    output += text
    if (output.includes('attached')) return
  }
  throw new Error(`strace: ${output}`)
}

function parse(output: string): Call[] {
  const counts = new Map<string, number>()
  return output.split('\n').flatMap((line) => {
    const [, name, args, result] = /^(\w+)\((.*)\)\s+= (.*)$/.exec(line) ?? []
    if (name === undefined || args === undefined || result === undefined) return []
    const nth = (counts.get(name) ?? 0) + 1
    counts.set(name, nth)
    return [{ name, nth, args, result }]
  })
}
