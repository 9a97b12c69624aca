// Makes the calls that it is told to, on several threads, and notes when each began and ended. What it has noted is in a file line by line, so that a
// kill leaves it. Plain JavaScript: it is started as it is, by `node` and as a worker thread.

const { appendFileSync, readFileSync } = require('node:fs')
const { join } = require('node:path')
const { setImmediate: turn, setTimeout: sleep } = require('node:timers/promises')
const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads')

const [addon, dir, log, threads] = isMainThread ? process.argv.slice(2) : workerData
const atomic = require(addon)

const at = (file) => join(dir, file)
const isIndex = (file) => file.endsWith('.json')
const now = () => Number(process.hrtime.bigint())
/** What a file says, as the checker has it: an id, and of an index all ids in its log. */
const said = (file, text) => (isIndex(file) ? JSON.parse(text).log.join(' ') : text.trim())
const ofIndex = (index) => (index == null ? null : index.log.join(' '))
const text = (file, { id, value = id, size = 0 }) =>
  isIndex(file) ? JSON.stringify({ log: [value], pad: '-'.repeat(size) }) : value.padEnd(size)

function raw(file) {
  try {
    return said(file, readFileSync(at(file), 'utf8'))
  } catch (error) {
    if (error.code === 'ENOENT') return null
    throw error
  }
}

/** Each is given the step, the call's options, and what notes that the call itself is made. What it returns is noted. */
const calls = {
  write: (step, options, call) => call(() => atomic.atomicWrite(at(step.file), text(step.file, step), options)),
  writeSync: (step, options, call) =>
    call(() => atomic.atomicWriteSync(at(step.file), text(step.file, step), options)),
  remove: (step, options, call) => call(() => atomic.remove(at(step.file), options)),
  read: (step, _, call) => ({ saw: call(() => raw(step.file)) }),
  async writer(step, options, call) {
    const file = await atomic.AtomicFile.open(at(step.file), options)
    await file.write(text(step.file, step))
    return call(() => file.commit())
  },
  batch: (step, options, call) =>
    call(() =>
      atomic.atomicWriteAll(
        step.files.map((file) => ({ path: at(file), data: text(file, step) })),
        options,
      ),
    ).then(([{ written }]) => ({ written })),
  async transaction(step, options, call) {
    const saw = {}
    const build = (tx) => {
      for (const file of step.files) {
        if (isIndex(file) && step.patch) tx.patch(file, { append: { '/log': [step.id] } }, { initial: { log: [] } })
        else if (isIndex(file))
          tx.update(file, (index) => {
            saw[file] = ofIndex(index)
            return { ...index, log: [...(index?.log ?? []), step.id] }
          })
        else if (step.remove) tx.remove(file, { missing: 'ignore' })
        else tx.write(file, text(file, step))
      }
    }
    if (step.byHand) {
      const tx = await atomic.beginTransaction(dir, options)
      build(tx)
      await call(() => tx.commit())
    } else {
      const { patch, read } = step
      await call(() =>
        atomic.atomicTransaction(
          dir,
          async (tx) => {
            if (read) saw[read] = (await tx.read(read, 'utf8'))?.trim() ?? null
            build(tx)
          },
          options,
        ),
      )
      if (patch && !read) return {}
    }
    return { sawEach: saw }
  },
  async snapshot(step, _, call) {
    const texts = await call(() => atomic.snapshotRead(dir, step.files))
    return { sawEach: Object.fromEntries(step.files.map((file, i) => [file, texts[i] && said(file, texts[i])])) }
  },
  async update(step, options, call) {
    let saw
    const fn = (index) => {
      saw = ofIndex(index)
      const next = { ...index, log: [...(index?.log ?? []), step.id] }
      return step.slow ? (step.slow > 1 ? sleep(step.slow) : turn()).then(() => next) : next
    }
    await call(() => atomic.atomicIndexUpdate(at(step.file), fn, options))
    return { saw }
  },
  async patch(step, options, call) {
    const patch = { append: { '/log': [step.id] } }
    let saw
    const fn = (view) => {
      saw = view.at('/log')?.join(' ') ?? ''
      return patch
    }
    await call(() => atomic.atomicIndexPatch(at(step.file), step.asFunction ? fn : patch, options))
    return { saw }
  },
  async readIndex(step, options, call) {
    return { saw: ofIndex((await call(() => atomic.readIndex(at(step.file), options))).value) }
  },
  readIndexSync: (step, options, call) => ({
    saw: ofIndex(call(() => atomic.readIndexSync(at(step.file), options)).value),
  }),
  async readIndexAt(step, _, call) {
    return { saw: (await call(() => atomic.readIndexAt(at(step.file), '/log')))?.join(' ') ?? null }
  },
  /** One update under a lock after the other: what each has seen tells that no other call came in between. */
  async session(step, options, call) {
    const lock = step.sync
      ? atomic.acquireIndexLockSync(at(step.file))
      : await call(() => atomic.acquireIndexLock(at(step.file), options))
    const saw = []
    try {
      for (const [i, id] of step.ids.entries()) {
        await lock.update((index) => {
          saw[i] = ofIndex(index)
          if (step.slow) return turn().then(() => ({ ...index, log: [...(index?.log ?? []), id] }))
          return { ...index, log: [...(index?.log ?? []), id] }
        })
      }
    } finally {
      if (step.sync) lock.releaseSync()
      else await lock.release()
    }
    return { saw: saw[0], sawAll: saw }
  },
}

function run(step, note) {
  const start = now()
  note({ id: step.id, start })
  const made = {}
  const call = (make) => {
    made.call = now()
    try {
      return make()
    } finally {
      made.called = now()
    }
  }
  const failed = ({ name, code, message, committed, stack }) =>
    note({ id: step.id, ...made, end: now(), error: { name, code, message, committed: !!committed, stack } })
  const done = (result) => {
    const { written, removed, saw, sawAll, sawEach } = result ?? {}
    note({ id: step.id, ...made, end: now(), written, removed, saw, sawAll, sawEach })
  }
  const options = { ...step.options }
  if (step.abort !== undefined) {
    const controller = new AbortController()
    options.signal = controller.signal
    if (step.abort > 0) setTimeout(() => controller.abort(), step.abort)
    else setImmediate(() => controller.abort())
  }
  try {
    const result = calls[step.call](step, options, call)
    if (typeof result?.then === 'function') return result.then(done, failed)
    done(result)
  } catch (error) {
    failed(error)
  }
  return Promise.resolve()
}

async function steps(plan, note) {
  const pending = []
  for (const step of plan) {
    if (step.pause === 'turn') await turn()
    else if (step.pause === 'all') await Promise.all(pending)
    else if (step.pause === 'last') await pending.at(-1)
    else if (step.pause > 0) await sleep(step.pause)
    pending.push(run(step, note))
  }
  await Promise.all(pending)
}

if (isMainThread) {
  const workers = Array.from({ length: threads - 1 }, (_, i) => {
    return new Worker(__filename, { workerData: [addon, dir, `${log}-${i + 1}`] })
  })
  const noted = (line) => appendFileSync(`${log}-0`, `${JSON.stringify(line)}\n`)
  process.on('message', async (plans) => {
    const others = workers.map(
      (worker, i) =>
        new Promise((resolve) => {
          worker.once('message', resolve)
          worker.postMessage(plans[i + 1])
        }),
    )
    await Promise.all([steps(plans[0], noted), ...others])
    process.send('done')
  })
  process.send('ready')
} else {
  const noted = (line) => appendFileSync(log, `${JSON.stringify(line)}\n`)
  parentPort.on('message', async (plan) => {
    await steps(plan, noted)
    parentPort.postMessage('done')
  })
}
