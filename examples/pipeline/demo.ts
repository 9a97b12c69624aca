/**
 * Shows the guarantees: four processes publish every README and CHANGELOG under node_modules/ into one content folder.
 * One of them is killed with SIGKILL halfway and started again. Then the files on disk are compared with
 * the documents. Exits 1 if anything is lost, torn, counted twice or left over.
 */

import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import pc from 'picocolors'
import { type Corpus, collect, type Expected } from './demo/corpus'
import { inspect, progressOf } from './demo/inspect'
import { openProgress } from './demo/progress'
import { killAll, Publisher } from './demo/publisher'
import { watchIndexes } from './demo/reader'
import { type Row, table } from './demo/table'
import { CONTENT_ENV } from './lib/content/paths'
import { getLockMetrics } from './scripts/pipeline/lock-metrics'

const PUBLISHERS = 4
const VICTIM = 1
/** The victim is killed when it has published this part of its documents. */
const KILL_AT = 0.4
/** With fewer, a publisher starts all of its documents at once and cannot be killed halfway. */
const LEAST_DOCUMENTS = 40
const MODULES = resolve(__dirname, '../../node_modules')

/** Ignored by git, and on the same disk as the repository. */
const OWN_CONTENT = join(__dirname, 'content')

interface Options {
  content: string
  limit: number
  keep: boolean
}

function options(): Options {
  const { values } = parseArgs({
    options: {
      content: { type: 'string' },
      limit: { type: 'string' },
      keep: { type: 'boolean', default: false },
    },
  })
  const limit = values.limit === undefined ? Number.POSITIVE_INFINITY : Number(values.limit)
  if (!(limit >= LEAST_DOCUMENTS))
    throw new Error(`--limit is a number of documents, at least ${LEAST_DOCUMENTS}`)
  const content = resolve(values.content ?? OWN_CONTENT)
  return { content, limit, keep: values.keep || content !== OWN_CONTENT }
}

/** Empties the example's own content folder. Any other folder must be empty already. */
async function prepare(content: string): Promise<void> {
  if (content === OWN_CONTENT) await rm(content, { recursive: true, force: true })
  const names = await readdir(content).catch(() => [])
  if (names.length > 0) throw new Error(`${content} is not empty`)
  process.env[CONTENT_ENV] = content
}

const say = (line: string) => process.stdout.write(`${line}\n`)

/**
 * Kills the victim when it has published `part` (0 to 1) of its documents.
 *
 * @returns what the kill left, or `undefined` if it came too late: the victim goes on while its progress is read here
 *   and the signal is sent, and on a busy machine it may finish in that time.
 */
async function killInMidWork(
  victim: Publisher,
  share: Expected[],
  part: number,
): Promise<string | undefined> {
  await victim.reaches(Math.max(1, Math.floor(share.length * part)))
  if (!(await victim.kill())) {
    await victim.ends() // Throws if it failed by itself.
    return undefined
  }
  const { published, begun } = await progressOf(share)
  if (published === share.length) return undefined
  return (
    `publisher ${VICTIM + 1} killed with SIGKILL, its documents: ` +
    `${published} published, ${begun} half published, ${share.length - published - begun} not started`
  )
}

/**
 * Runs all publishers at once, kills one and starts it again, and waits until all of them are done.
 *
 * @returns `undefined` if the kill came too late.
 */
async function publishAll(corpus: Corpus, input: string, content: string, part: number) {
  const started = Date.now()
  const progress = openProgress(corpus.shares.map((share) => share.length))
  const publishers = corpus.shares.map(
    (_, i) => new Publisher(content, join(input, String(i)), progress.of(i)),
  )
  const reader = watchIndexes()

  const victim = publishers[VICTIM] as Publisher
  const others = publishers.filter((publisher) => publisher !== victim)
  const killed = killInMidWork(victim, corpus.shares[VICTIM] ?? [], part).then(async (story) => {
    if (story === undefined) return false
    progress.say(story)
    victim.start()
    progress.say(`publisher ${VICTIM + 1} started again`)
    await victim.ends()
    return true
  })
  try {
    const [hit] = await Promise.all([killed, ...others.map((publisher) => publisher.ends())])
    if (!hit) return undefined
  } finally {
    progress.close()
    await reader.stop()
  }
  return { seconds: (Date.now() - started) / 1000, reads: reader.result }
}

/** Publishes everything. If the kill comes too late, starts over with an empty folder and kills earlier. */
async function publishWithAKill(corpus: Corpus, input: string, content: string) {
  for (let part = KILL_AT; ; part /= 2) {
    const outcome = await publishAll(corpus, input, content, part)
    if (outcome) return outcome
    say(`publisher ${VICTIM + 1} finished before it could be killed: all start over`)
    await rm(content, { recursive: true })
  }
}

async function run(input: string, { content, limit }: Options): Promise<boolean> {
  await prepare(content)
  const corpus = await collect(MODULES, input, { shares: PUBLISHERS, limit })
  const n = corpus.all.length
  if (n < LEAST_DOCUMENTS) throw new Error(`only ${n} documents below ${MODULES}: run npm install there`)
  const from = relative(process.cwd(), MODULES) || MODULES
  say(`${n} documents from ${from}, ${PUBLISHERS} publishers, into ${content}`)

  const { seconds, reads } = await publishWithAKill(corpus, input, content)
  const found = await inspect(corpus.all, content)

  // After the inspection, because it would repair what is wrong: publishes everything again, which must change nothing.
  const again = new Publisher(content, input, () => {})
  await again.ends()
  const locks = await getLockMetrics()

  const rows: Row[] = [
    ['documents published', found.documents, found.documents === n],
    ['records in contentIndex', found.listed, found.listed === n],
    ['records in topicIndex', found.topics, found.topics === n],
    ['publishes counted in metrics', found.counted, found.counted === n],
    ['lost records', found.lost, found.lost === 0],
    ['duplicate records', found.duplicates, found.duplicates === 0],
    ['torn files', found.torn, found.torn === 0],
    [`torn reads (of ${reads.total} while publishing)`, reads.torn, reads.torn === 0],
    ['leftovers (temp and lock files)', found.leftovers, found.leftovers === 0],
    ['changes by publishing everything again', again.changed, again.changed === 0],
    ['lock files left by the kill and removed', locks.totalCleanups, undefined],
    ['time', `${seconds.toFixed(1)} s`, undefined],
    ['documents per second', (n / seconds).toFixed(0), undefined],
  ]
  say(`\n${table(rows)}`)
  for (const line of [...found.faults, ...reads.faults].slice(0, 20)) say(pc.red(`  ${line}`))
  return rows.every(([, , ok]) => ok !== false)
}

async function main(): Promise<void> {
  const chosen = options()
  const input = await mkdtemp(join(tmpdir(), 'pipeline-demo-'))
  const cleanUp = async () => {
    await killAll()
    await rm(input, { recursive: true, force: true })
  }
  // `on`, not `once`: the terminal and the program that started this one may both send the signal.
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    process.on(signal, () => void cleanUp().finally(() => process.exit(code)))
  }
  try {
    const ok = await run(input, chosen)
    if (ok) say(pc.green('\nNothing lost, nothing torn, nothing left over.'))
    else say(pc.red(`\nThe content folder is not as it should be. It is kept: ${chosen.content}`))
    if (ok && !chosen.keep) await rm(chosen.content, { recursive: true })
    process.exitCode = ok ? 0 : 1
  } finally {
    await cleanUp()
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`demo: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
})
