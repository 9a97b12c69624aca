// The system calls that a write makes, and faults put into them: strace on the one libuv thread that does it.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative, sep } from 'node:path'
import type { Data, WriteOptions, WriteResult } from '@pipeline/atomic'
import { onTestFinished } from 'vitest'
import { inProcess, type RunningProcess } from './elsewhere'

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
  /** What the process had open in the file's folder when it was done. */
  open: string[]
}

/** A signal cannot be sent to another process: there it is one that is aborted after so many milliseconds. */
type Options = Omit<WriteOptions, 'signal'> & { abortAfter?: number }

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

  static async start(before?: string): Promise<Writer> {
    const process = inProcess(
      async ({ AtomicFile, atomicWrite, require, tell, hear }) => {
        const fs = require('node:fs')
        const threads = (): string[] => fs.readdirSync('/proc/self/task')
        const known = threads()
        // The first use of libuv's pool starts its threads: here one.
        await fs.promises.stat('/')
        tell(Number(threads().find((id) => !known.includes(id))))
        for (;;) {
          const { path, data, options } = await hear()
          const signal =
            options?.abortAfter === undefined ? undefined : AbortSignal.timeout(options.abortAfter)
          const inPieces = async (pieces: Data[]) => {
            const file = await AtomicFile.open(path, { ...options, signal })
            try {
              for (const piece of pieces) await file.write(piece)
              return await file.commit()
            } finally {
              await file[Symbol.asyncDispose]()
            }
          }
          const writing = Array.isArray(data)
            ? inPieces(data)
            : atomicWrite(path, data, { ...options, signal })
          const answer = await writing.then(
            (result) => ({ result }),
            ({ code, syscall, committed, message, path, dest, offset }) => ({
              error: { code, syscall, committed, message, path, dest, offset },
            }),
          )
          const dir = path.slice(0, path.lastIndexOf('/'))
          const openNow = () =>
            fs.readdirSync('/proc/self/fd').flatMap((fd: string) => {
              try {
                const to = fs.readlinkSync(`/proc/self/fd/${fd}`)
                return to.startsWith(dir) ? [to] : []
              } catch {
                return []
              }
            })
          let open = openNow()
          // Where freeing its blocks is slow, a replaced file is let go of a moment after the answer.
          for (let i = 0; i < 40 && open.length > 0; i++) {
            await new Promise((resolve) => setTimeout(resolve, 5))
            open = openNow()
          }
          tell({ ...answer, open })
        }
      },
      [],
      { env: { UV_THREADPOOL_SIZE: '1' }, ...(before === undefined ? {} : { before }) },
    )
    return new Writer(process, await process.next())
  }

  async write(path: string, data: Content, options?: Options): Promise<Written> {
    this.process.say({ path, data, options })
    return this.process.next()
  }

  /** Writes under strace; `inject` is its option of that name. */
  async traced(path: string, data: Content, options?: Options, inject?: string): Promise<Traced> {
    const dir = mkdtempSync(join(tmpdir(), 'atomic-trace-'))
    onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
    const out = join(dir, 'calls')
    const args = ['-y', '-o', out, '-p', `${this.thread}`, ...(inject ? ['-e', `inject=${inject}`] : [])]
    const strace = spawn('strace', args, { stdio: ['ignore', 'ignore', 'pipe'] })
    const exit = once(strace, 'exit')
    await attached(strace)
    const answer = await this.write(path, data, options)
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
  let said = ''
  for await (const text of strace.stderr ?? []) {
    said += text
    if (said.includes('attached')) return
  }
  throw new Error(`strace: ${said}`)
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
