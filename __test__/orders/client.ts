// Makes the calls that it is told to, on several threads, and notes when each began and ended. What it has noted is in a file line by line, so that a
// kill leaves it. It is bundled, and started by `node` and as a worker thread.

import { appendFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { type Content, idsIn, isIndex, type Noted, said } from './notes'
import type { Step } from './plan'

const [addon, dir, log, threads] = (isMainThread ? process.argv.slice(2) : workerData) as string[] as [
  string,
  string,
  string,
  string,
]
const atomic = require(addon) as typeof import('@pipeline/atomic')

type Index = { log?: string[] } | undefined
type Seen = Partial<Pick<Noted, 'written' | 'removed' | 'saw' | 'sawAll' | 'sawEach'>>
/** Makes the call itself, and notes when. */
type Make = <T>(make: () => T) => T

const at = (file: string) => join(dir, file)
const pathOf = ({ file, alias }: Step) => (alias ? join(`${dir}.link`, file) : at(file))
const now = () => Number(process.hrtime.bigint())
const appended = (index: Index, id: string) => ({ ...index, log: [...(index?.log ?? []), id] })

function text(file: string, { id, value = id, size = 0 }: Step): string {
  return isIndex(file) ? JSON.stringify({ log: [value], pad: '-'.repeat(size) }) : value.padEnd(size)
}

function raw(file: string): Content {
  try {
    return said(file, readFileSync(at(file), 'utf8'))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

async function transaction(step: Step, options: object, call: Make): Promise<Seen> {
  const sawEach: Record<string, Content> = {}
  const { read, patch, id, files = [] } = step
  const build = (tx: import('@pipeline/atomic').Transaction) => {
    for (const file of files) {
      if (!isIndex(file)) {
        if (step.remove) tx.remove(file, { missing: 'ignore' })
        else tx.write(file, text(file, step))
      } else if (patch) {
        tx.patch(file, { append: { '/log': [id] } }, { initial: { log: [] } })
      } else {
        tx.update(file, (index: Index) => {
          sawEach[file] = idsIn(index)
          return appended(index, id)
        })
      }
    }
  }
  if (step.byHand) {
    const tx = await atomic.beginTransaction(dir, options)
    build(tx)
    await call(() => tx.commit())
  } else {
    await call(() =>
      atomic.atomicTransaction(
        dir,
        async (tx) => {
          if (read) sawEach[read] = (await tx.read(read, 'utf8'))?.trim() ?? null
          build(tx)
        },
        options,
      ),
    )
  }
  return { sawEach }
}

/** One update under a lock after the other: what each has seen tells whether another call came in between. */
async function session(step: Step, options: object, call: Make): Promise<Seen> {
  const lock = step.sync
    ? atomic.acquireIndexLockSync(pathOf(step))
    : await call(() => atomic.acquireIndexLock(pathOf(step), options))
  const sawAll: Content[] = []
  try {
    for (const [i, id] of (step.ids ?? []).entries()) {
      await lock.update((index: Index) => {
        sawAll[i] = idsIn(index)
        return step.slow ? turn().then(() => appended(index, id)) : appended(index, id)
      })
    }
  } finally {
    if (step.sync) lock.releaseSync()
    else await lock.release()
  }
  return { sawAll }
}

const calls: Record<string, (step: Step, options: object, call: Make) => Seen | PromiseLike<Seen>> = {
  write: (step, options, call) =>
    call(() => atomic.atomicWrite(pathOf(step), text(step.file, step), options)),
  writeSync: (step, options, call) =>
    call(() => atomic.atomicWriteSync(pathOf(step), text(step.file, step), options)),
  remove: (step, options, call) => call(() => atomic.remove(pathOf(step), options)),
  read: (step, _, call) => ({ saw: call(() => raw(step.file)) }),
  async writer(step, options, call) {
    const file = await atomic.AtomicFile.open(pathOf(step), options)
    await file.write(text(step.file, step))
    return call(() => file.commit())
  },
  async batch(step, options, call) {
    const entries = (step.files ?? []).map((file) => ({ path: at(file), data: text(file, step) }))
    await call(() => atomic.atomicWriteAll(entries, options))
    return {}
  },
  transaction,
  async snapshot(step, _, call) {
    const files = step.files ?? []
    const texts = await call(() => atomic.snapshotRead(dir, files))
    const seen = files.map((file, i) => [file, texts[i] == null ? null : said(file, texts[i] as string)])
    return { sawEach: Object.fromEntries(seen) }
  },
  async update(step, options, call) {
    let saw: Content | undefined
    const fn = (index: Index) => {
      saw = idsIn(index)
      const next = appended(index, step.id)
      if (step.slow === undefined) return next
      return (step.slow === true ? turn() : sleep(Number(step.slow))).then(() => next)
    }
    await call(() => atomic.atomicIndexUpdate(pathOf(step), fn, options))
    return { saw }
  },
  async patch(step, options, call) {
    const patch = { append: { '/log': [step.id] } }
    let saw: Content | undefined
    const fn = (view: import('@pipeline/atomic').IndexView) => {
      saw = view.at('/log')?.join(' ') ?? null
      return patch
    }
    await call(() => atomic.atomicIndexPatch(pathOf(step), step.asFunction ? fn : patch, options))
    return { saw }
  },
  async readIndex(step, _, call) {
    return { saw: idsIn((await call(() => atomic.readIndex(pathOf(step)))).value) }
  },
  readIndexSync: (step, _, call) => ({ saw: idsIn(call(() => atomic.readIndexSync(pathOf(step))).value) }),
  async readIndexAt(step, _, call) {
    const ids = await call(() => atomic.readIndexAt<string[]>(pathOf(step), '/log'))
    return { saw: ids?.join(' ') ?? null }
  },
  session,
}

async function run(step: Step, note: (noted: Noted) => void): Promise<void> {
  const noted: Noted = { id: step.id, start: now() }
  note(noted)
  const call: Make = (make) => {
    noted.call = now()
    try {
      return make()
    } finally {
      noted.called = now()
    }
  }
  const options: Record<string, unknown> = { ...step.options }
  if (step.abort !== undefined) {
    const controller = new AbortController()
    options.signal = controller.signal
    if (step.abort > 0) setTimeout(() => controller.abort(), step.abort)
    else setImmediate(() => controller.abort())
  }
  try {
    // One that blocks has ended here, and before any other call of the thread is made.
    const result = calls[step.call]?.(step, options, call) as Seen | PromiseLike<Seen>
    const { written, removed, saw, sawAll, sawEach } = 'then' in result ? await result : result
    note({ ...noted, end: now(), written, removed, saw, sawAll, sawEach })
  } catch (cause) {
    const { name, code, message, committed, stack } = cause as import('@pipeline/atomic').AtomicError
    note({ ...noted, end: now(), error: { name, code, message, committed: committed === true, stack } })
  }
}

async function steps(plan: readonly Step[], path: string): Promise<void> {
  const note = (noted: Noted) => appendFileSync(path, `${JSON.stringify(noted)}\n`)
  const pending: Promise<void>[] = []
  for (const step of plan) {
    if (step.pause === 'turn') await turn()
    else if (step.pause === 'all') await Promise.all(pending)
    else if (step.pause === 'last') await pending.at(-1)
    else if (step.pause) await sleep(step.pause)
    pending.push(run(step, note))
  }
  await Promise.all(pending)
}

if (isMainThread) {
  const workers = Array.from({ length: Number(threads) - 1 }, (_, i) => {
    return new Worker(__filename, { workerData: [addon, dir, `${log}-${i + 1}`] })
  })
  process.on('message', async ([own, ...others]: Step[][]) => {
    const done = workers.map((worker, i) => {
      worker.postMessage(others[i])
      return new Promise((resolve) => worker.once('message', resolve))
    })
    await Promise.all([steps(own ?? [], `${log}-0`), ...done])
    process.send?.('done')
  })
  process.send?.('ready')
} else {
  parentPort?.on('message', async (plan: Step[]) => {
    await steps(plan, log)
    parentPort?.postMessage('done')
  })
}
