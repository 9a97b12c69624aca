/**
 * Shows the guarantees: publishers, four at a time, publish every README and CHANGELOG under node_modules/ into one content
 * folder. Each of them is killed with SIGKILL halfway and started again. After each kill, while the others go on, every
 * document must be published in all four files or in none. At the end the files on disk are compared with the documents.
 * Exits 1 if anything is lost, torn, counted twice or left over.
 */

import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import pc from 'picocolors'
import { bundle } from './demo/bundle'
import { type Corpus, collect, type Expected } from './demo/corpus'
import { inspect } from './demo/inspect'
import { openProgress, type Progress } from './demo/progress'
import { killAll, Publisher } from './demo/publisher'
import { watchIndexes } from './demo/reader'
import { takeSnapshot } from './demo/snapshot'
import { type Row, table } from './demo/table'
import { CONTENT_ENV, routePath } from './lib/content/paths'
import { getLockMetrics } from './scripts/pipeline/lock-metrics'

/** Publishers, each of which has its own documents. */
const PUBLISHERS = 12
const AT_A_TIME = 4
/** So many have to be killed before they have finished. */
const LEAST_KILLS = 10
/** A publisher is killed when it has published up to this part of its documents. */
const KILL_AT = 0.6
/** About as long as a commit takes. */
const MOMENT_MS = 20
/** With fewer, a publisher starts all of its documents at once and cannot be killed halfway. */
const LEAST_DOCUMENTS = 120
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

/** What publishers share while they run. */
interface Run {
  corpus: Corpus
  /** Where the documents of each publisher are. */
  input: string
  content: string
  cli: string
  progress: Progress
  /** The routes that publishers have said are published. */
  told: Set<string>
  kills: number
  /** How many publishers had finished before they could be killed. */
  late: number
  faults: string[]
}

/** Everything as of one moment, after a kill. */
async function check(run: Run, share: readonly Expected[]): Promise<number> {
  const told = [...run.told]
  const { documents, faults } = await takeSnapshot(run.corpus.all)
  const lost = told.filter((route) => documents.get(route) !== 'all')
  run.faults.push(...faults, ...lost.map((route) => `${route} was published and is not any more`))
  return share.filter(({ doc }) => documents.get(routePath(doc)) === 'all').length
}

/** Publishes a share of the documents. The publisher is killed before it has published `part` of them, and started again. */
async function publishShare(run: Run, i: number, part: number): Promise<void> {
  const share = run.corpus.shares[i] ?? []
  const publisher = new Publisher(run.cli, run.content, [join(run.input, String(i))], (route) => {
    run.told.add(route)
    run.progress.at(run.told.size)
  })
  await publisher.reaches(Math.ceil(share.length * part * Math.random()))
  // Somewhere in the next commit.
  await sleep(MOMENT_MS * part * Math.random())
  if (!(await publisher.kill())) {
    run.late += 1
    return publisher.ends() // Throws if it failed by itself.
  }
  const published = await check(run, share)
  if (published === share.length) run.late += 1
  else {
    run.kills += 1
    const rest = share.length - published
    run.progress.say(
      `publisher ${i + 1} killed with SIGKILL: ${published} of its documents are in all four files, ${rest} in none`,
    )
  }
  publisher.start()
  await publisher.ends()
}

/**
 * Publishes everything.
 *
 * @returns `undefined` if too many kills came too late: a publisher goes on while its progress is read here and the signal is
 *   sent, and on a busy machine it may finish in that time.
 */
async function publishAll(corpus: Corpus, input: string, content: string, cli: string, part: number) {
  const started = Date.now()
  const progress = openProgress(corpus.all.length)
  const run: Run = { corpus, input, content, cli, progress, told: new Set(), kills: 0, late: 0, faults: [] }
  const reader = watchIndexes()
  const waiting = corpus.shares.keys()
  const worker = async (): Promise<void> => {
    for (const i of waiting) {
      // All will start over, unless something is wrong that is to be shown.
      if (run.late > PUBLISHERS - LEAST_KILLS && run.faults.length === 0) return
      await publishShare(run, i, part)
    }
  }
  try {
    await Promise.all(Array.from({ length: AT_A_TIME }, worker))
  } finally {
    progress.close()
    await reader.stop()
  }
  const { kills, faults } = run
  if (kills < LEAST_KILLS && faults.length === 0) return undefined
  return { seconds: (Date.now() - started) / 1000, reads: reader.result, kills, faults }
}

/** Publishes everything. If the kills come too late, starts over with an empty folder and kills earlier. */
async function publishWithKills(corpus: Corpus, input: string, content: string, cli: string) {
  for (let part = KILL_AT; ; part /= 2) {
    const outcome = await publishAll(corpus, input, content, cli, part)
    if (outcome) return outcome
    say('too many publishers finished before they could be killed: all start over')
    await rm(content, { recursive: true })
  }
}

async function run(input: string, { content, limit }: Options): Promise<boolean> {
  await prepare(content)
  const cli = await bundle(join(__dirname, 'cli.ts'), input)
  const corpus = await collect(MODULES, input, { shares: PUBLISHERS, limit })
  const n = corpus.all.length
  if (n < LEAST_DOCUMENTS) throw new Error(`only ${n} documents below ${MODULES}: run npm install there`)
  const from = relative(process.cwd(), MODULES) || MODULES
  say(`${n} documents from ${from}, ${PUBLISHERS} publishers, ${AT_A_TIME} at a time, into ${content}`)

  const { seconds, reads, kills, faults } = await publishWithKills(corpus, input, content, cli)
  const found = await inspect(corpus.all, content)

  // After the inspection, because it would repair what is wrong: publishes everything again, which must change nothing.
  const again = new Publisher(cli, content, [input])
  await again.ends()
  const locks = await getLockMetrics()

  const rows: Row[] = [
    ['documents published', found.documents, found.documents === n],
    ['records in contentIndex', found.listed, found.listed === n],
    ['records in topicIndex', found.topics, found.topics === n],
    ['publishes counted in metrics', found.counted, found.counted === n],
    ['publishers killed', kills, kills >= LEAST_KILLS],
    ['documents in some of the files, after the kills', faults.length, faults.length === 0],
    ['lost records', found.lost, found.lost === 0],
    ['duplicate records', found.duplicates, found.duplicates === 0],
    ['torn files', found.torn, found.torn === 0],
    [`torn reads (of ${reads.total} while publishing)`, reads.torn, reads.torn === 0],
    ['leftovers (temp and lock files)', found.leftovers, found.leftovers === 0],
    ['changes by publishing everything again', again.changed, again.changed === 0],
    ['lock files left by the kills and removed', locks.totalCleanups, undefined],
    ['time', `${seconds.toFixed(1)} s`, undefined],
    ['documents per second', (n / seconds).toFixed(0), undefined],
  ]
  say(`\n${table(rows)}`)
  for (const line of [...faults, ...found.faults, ...reads.faults].slice(0, 20)) say(pc.red(`  ${line}`))
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
