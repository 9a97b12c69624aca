/**
 * Shows the guarantees in an object store: a publisher on each of two machines publishes into one container of Azurite, an emulator of
 * Azure Blob Storage. Some documents are published by both. One of the publishers is killed with SIGKILL again and again, and
 * started again. After each kill, while the other one goes on, every document must be published in all places or in none. At the end all is
 * read back. Exits 1 if anything is lost, torn, counted twice or left over.
 */

import { execFile } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs, promisify } from 'node:util'
import pc from 'picocolors'
import { startAzurite } from '../../__test__/cloud-servers/servers/azurite.mjs'
import { installPackages } from '../../__test__/helpers/package-copy.mjs'
import { bundle } from './demo/bundle'
import type { StoreCheck } from './demo/check-store'
import { collect } from './demo/corpus'
import { type Machine, type Machines, openMachines } from './demo/machines'
import { killAll, Publisher } from './demo/publisher'
import { type Row, table } from './demo/table'
import { CONTENT_ENV } from './lib/content/paths'

const KILLS = 6
/** On a machine that is busy a publisher may have finished before the last ones. */
const LEAST_KILLS = 3
/** A kill comes when this part of the victim's documents is newly published; the rest of them are for after the last one. */
const STEP = 0.05
/** So few at a time that a kill comes amid them. */
const JOBS = '2'
/** About as long as a commit takes. */
const MOMENT_MS = 30
const LEAST_DOCUMENTS = 60
const CONTAINER = 'demo'
const CONTENT = `az://${CONTAINER}/content`
const MODULES = resolve(__dirname, '../../node_modules')

const say = (line: string) => process.stdout.write(`${line}\n`)

/** What has to be ended, the last one first. */
const open: (() => Promise<unknown>)[] = []

async function closeAll(): Promise<void> {
  for (const close of open.splice(0).reverse()) await close()
}

function limit(): number {
  const { values } = parseArgs({ options: { limit: { type: 'string', default: '150' } } })
  const limit = Number(values.limit)
  if (!(limit >= LEAST_DOCUMENTS))
    throw new Error(`--limit is a number of documents, at least ${LEAST_DOCUMENTS}`)
  return limit
}

async function openPlaces(): Promise<Machines> {
  const both = await openMachines(2)
  open.push(both.stop)
  if (both.missing === undefined) say('two machines: network namespaces, each with a link of its own')
  else say(`two plain processes of this machine, no network namespaces: ${both.missing}`)
  return both
}

/** @returns what a publisher finds in its environment */
async function openStore(host: string): Promise<Record<string, string>> {
  const server = await startAzurite(CONTAINER, host)
  if ('missing' in server) throw new Error(`Azurite cannot be had: ${server.missing}`)
  open.push(server.stop)
  say(`Azurite listens on ${new URL(server.endpoint).host}`)
  return { ...server.env, AZURE_STORAGE_ENDPOINT: server.endpoint, [CONTENT_ENV]: CONTENT }
}

/** What takes part in a run. */
interface Scene {
  cli: string
  checker: string
  machines: readonly Machine[]
  env: Record<string, string>
  /** The folders with the documents of the first machine, of the second one, and of both. */
  input: { first: string; second: string; both: string }
  /** The routes that publishers have said are published. */
  told: Set<string>
  faults: string[]
}

async function check(when: 'now' | 'end', { checker, env, input, told, faults }: Scene): Promise<StoreCheck> {
  const before = [...told]
  const options = { env: { ...process.env, ...env }, maxBuffer: 2 ** 26 }
  const args = [checker, when, ...Object.values(input)]
  const { stdout } = await promisify(execFile)(process.execPath, args, options)
  const seen: StoreCheck = JSON.parse(stdout)
  const lost = before.filter((route) => !seen.published.includes(route))
  faults.push(...seen.faults, ...lost.map((route) => `${route} was published and is not any more`))
  return seen
}

function start({ cli, machines, env, told }: Scene, machine: number, args: string[], done = told): Publisher {
  const onDocument = (route: string) => {
    told.add(route)
    done.add(route)
  }
  const place = { run: machines[machine]?.run ?? [], env }
  return new Publisher(cli, CONTENT, args, onDocument, place)
}

/** @returns how often the first publisher was killed. It has `share` documents. */
async function publishWithKills(scene: Scene, share: number): Promise<number> {
  const { first, second, both } = scene.input
  // One document at a time, so that it is at work while the other one is killed.
  const steady = start(scene, 1, ['--jobs', '1', second, both])
  const done = new Set<string>()
  const victim = start(scene, 0, ['--jobs', JOBS, first, both], done)
  let kills = 0
  while (kills < KILLS) {
    await victim.reaches(done.size + Math.ceil(share * STEP))
    // Somewhere in the next commit.
    await sleep(MOMENT_MS * Math.random())
    if (!(await victim.kill())) break
    kills += 1
    const { published } = await check('now', scene)
    say(
      `publisher 1 killed with SIGKILL: ${published.length} documents are in all places, the others in none`,
    )
    victim.start()
  }
  await Promise.all([victim.ends(), steady.ends()])
  return kills
}

async function run(most: number): Promise<boolean> {
  const addon = installPackages()
  open.push(() => rm(addon, { recursive: true }))
  const [cli, checker] = [
    await bundle(join(__dirname, 'cli.ts'), addon, addon),
    await bundle(join(__dirname, 'demo/check-store.ts'), addon, addon),
  ]
  const folder = join(addon, 'input')
  const { all, shares } = await collect(MODULES, folder, { shares: 3, limit: most })
  const n = all.length
  if (n < LEAST_DOCUMENTS) throw new Error(`only ${n} documents below ${MODULES}: run npm install there`)
  const { host, all: machines } = await openPlaces()
  const env = await openStore(host)
  const input = { first: join(folder, '0'), second: join(folder, '1'), both: join(folder, '2') }
  const scene: Scene = { cli, checker, machines, env, input, told: new Set(), faults: [] }
  const [mine, , common] = shares.map(({ length }) => length) as [number, number, number]
  say(`${n} documents into ${CONTENT}, ${common} of them published by both machines`)

  open.push(killAll)
  const started = Date.now()
  const kills = await publishWithKills(scene, mine + common)
  const seconds = (Date.now() - started) / 1000
  const { found } = await check('end', scene)
  if (!found) throw new Error('the check has not looked')
  // After the inspection, because it would repair what is wrong: publishes everything again, which must change nothing.
  const again = start(scene, 1, Object.values(input))
  await again.ends()

  const { faults } = scene
  const rows: Row[] = [
    ['documents published', found.documents, found.documents === n],
    ['records in contentIndex', found.listed, found.listed === n],
    ['records in topicIndex', found.topics, found.topics === n],
    ['publishes counted in metrics', found.counted, found.counted === n],
    ['kills', kills, kills >= LEAST_KILLS],
    ['documents in some of the places, after the kills', faults.length, faults.length === 0],
    ['lost records', found.lost, found.lost === 0],
    ['duplicate records', found.duplicates, found.duplicates === 0],
    ['torn objects', found.torn, found.torn === 0],
    ['objects that belong to no document', found.leftovers, found.leftovers === 0],
    ['changes by publishing everything again', again.changed, again.changed === 0],
    ['time', `${seconds.toFixed(1)} s`, undefined],
  ]
  say(`\n${table(rows)}`)
  for (const line of [...faults, ...found.faults].slice(0, 20)) say(pc.red(`  ${line}`))
  return rows.every(([, , ok]) => ok !== false)
}

async function main(): Promise<void> {
  // `on`, not `once`: the terminal and the program that started this one may both send the signal.
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    process.on(signal, () => void closeAll().finally(() => process.exit(code)))
  }
  try {
    const ok = await run(limit())
    say(
      ok
        ? pc.green('\nNothing lost, nothing torn, nothing left over.')
        : pc.red('\nThe store is not as it should be.'),
    )
    process.exitCode = ok ? 0 : 1
  } finally {
    await closeAll()
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`demo: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
})
