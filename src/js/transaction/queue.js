// The calls that wait to be committed, one queue for each root.

/** So many are committed together. */
const MOST = 1000
/** And so many operations, as many as a record takes. */
const MOST_OPS = 4096
/** So many indexes are locked at once, unless one transaction needs more. */
const MOST_INDEXES = 48
/** For so many groups at most no functions run ahead. */
const MOST_PAUSE = 64
/** So often (ms) calls that wait are looked at. */
const LOOK = 100
/** So long (ms) others wait for a transaction that is built anew. */
const PATIENCE = 1000

/** By the root's absolute path. */
const queues = new Map()

/** Puts a call in the queue of its root. */
function enqueue(call) {
  let queue = queues.get(call.queueKey)
  if (queue === undefined) {
    queue = {
      calls: [],
      group: [],
      most: MOST,
      /** How long (ms) all but the functions took in the last group, and that without its commit. */
      rest: 0,
      printing: 0,
      /** So many calls that ran ahead in a row have run for nothing; and for so many groups none do. */
      wasted: 0,
      pause: 0,
      isServed: false,
      timer: undefined,
    }
    queues.set(call.queueKey, queue)
  }
  call.waitsSince = native.now()
  queue.calls.push(call)
  if (!queue.isServed) {
    queue.isServed = true
    serve(queue, call.queueKey)
  }
}

async function serve(queue, key) {
  // Calls that are made in the same turn of the event loop are to be in the same group.
  await undefined
  watch(queue)
  let ahead
  while (queue.calls.length > 0) {
    const next = queue.calls[0]
    if (next.isStale && !next.isOver) {
      queue.calls.shift()
      await rebuilt(queue, next)
      continue
    }
    const group = take(queue, ahead)
    queue.group = group
    const isNext = group.length > 0 && ahead?.leads(group) && !group[0].isAlone
    const before = isNext ? ahead : undefined
    if (before === undefined) await ahead?.found.close()
    const other = ahead
    ahead = undefined
    // Nobody waits for any of them any more.
    if (group.length === 0) continue
    const mayRun = queue.pause === 0 && !group[0].isAlone
    if (queue.pause > 0) queue.pause--
    const isWanted = () => ahead !== undefined || (mayRun && queue.calls.length > 0)
    const find = (files, later = []) => {
      queue.calls.unshift(...later)
      if (mayRun && queue.calls.length > 0)
        ahead ??= new Ahead(group[0].root, files(), (most) => choose(queue, most))
    }
    const run = (commit) => ahead?.begin(commit)
    try {
      const next = new Group(group, queue, before, { isWanted, find, run })
      const { later, ran, rest, printing } = await next.commit()
      queue.calls.unshift(...later)
      Object.assign(queue, { rest, printing })
      // The files of calls that are postponed were found and locked in vain. So after a group that has run out of time the next one
      // has twice as many calls as have run.
      queue.most = ran === undefined ? Math.min(queue.most * 4, MOST) : ran * 2
    } catch (error) {
      for (const call of group) call.fail(error)
    }
    await ahead?.stop()
    if (other !== undefined) assess(queue, other)
  }
  native.stop(queue.timer)
  queues.delete(key)
  await ahead?.found.close()
}

/** Where others change the indexes between two groups, or functions throw, those that run ahead run for nothing: it is tried less and less often. */
function assess(queue, { hasRun, isUsed }) {
  if (!hasRun) return
  queue.wasted = isUsed ? 0 : queue.wasted + 1
  queue.pause = isUsed ? 0 : Math.min(2 ** queue.wasted, MOST_PAUSE)
}

/** Tells calls whose time is up, while others let them wait. */
function watch(queue) {
  queue.timer = native.after(LOOK, () => {
    const now = native.now()
    for (const call of [...queue.calls, ...queue.group]) call.checkTime(now)
    watch(queue)
  })
}

/** What it had read is not what it was: it is built again, before others change that once more. */
async function rebuilt(queue, call) {
  let isLate = false
  const built = call.build().then((isBuilt) => {
    if (!isBuilt) return
    if (isLate) enqueue(call)
    else queue.calls.unshift(call)
  })
  await new Promise((resolve) => {
    const timer = native.after(PATIENCE, () => {
      isLate = true
      resolve()
    })
    const settled = Promise.race([built, call.gone])
    settled.then(() => {
      native.stop(timer)
      resolve()
    })
  })
}

/** The calls that are committed next. */
function take(queue, ahead) {
  const group = choose(queue, ahead?.most(queue) ?? queue.most)
  const last = group.at(-1)
  queue.calls.splice(0, last === undefined ? queue.calls.length : queue.calls.indexOf(last) + 1)
  return group
}

/** So many calls of those that wait which can be committed together. */
function choose(queue, most) {
  const group = []
  const indexes = new Map()
  let ops = 0
  for (const call of queue.calls) {
    if (call.isOver) continue
    ops += call.ops.length * 2
    if (group.length > 0 && (ops > MOST_OPS || !goesWith(call, group[0], indexes))) break
    for (const op of call.ops) if (op.kind === 'update') indexes.set(op.file.absolute, op)
    group.push(call)
    if (group.length >= Math.min(most, MOST)) break
  }
  return group
}

/** Whether a call can be committed together with those before it, which update these indexes, each with its options. */
function goesWith(call, first, indexes) {
  if (call.isStale || call.isAlone || first.isAlone) return false
  if (call.scope.options.flush !== first.scope.options.flush) return false
  let more = 0
  for (const op of call.ops) {
    if (op.kind !== 'update') continue
    const known = indexes.get(op.file.absolute)
    if (known === undefined) more++
    else if (!sharesIndex(op, known)) return false
  }
  return indexes.size + more <= MOST_INDEXES
}
