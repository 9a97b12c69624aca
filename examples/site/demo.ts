/**
 * Shows the guarantees: all Markdown under node_modules/ becomes a site. Built again, nothing is written; with one
 * source changed, one page is. Then builds are killed with SIGKILL at random moments while the site is read, first
 * builds that write into the site, then builds with --atomic. Exits 1 if a reader got an incomplete file or, with
 * --atomic, pages from two builds.
 */

import { appendFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { SingleBar } from 'cli-progress'
import pc from 'picocolors'
import { type Row, table } from '../pipeline/demo/table'
import { buildToTheEnd, bundleCli, killAll } from './demo/builder'
import { copySources } from './demo/corpus'
import { changesBetween, differences, identities, leftoversIn, siteFiles } from './demo/inspect'
import { finish, killAgainAndAgain, type Rounds } from './demo/rounds'
import { folderOf } from './lib/addresses'

const MODULES = resolve(__dirname, '../../node_modules')

interface Options {
  limit: number
  seconds: number
}

function options(): Options {
  const { values } = parseArgs({
    options: { limit: { type: 'string' }, seconds: { type: 'string', default: '10' } },
  })
  const limit = values.limit === undefined ? Number.POSITIVE_INFINITY : Number(values.limit)
  const seconds = Number(values.seconds)
  if (!(limit >= 2)) throw new Error('--limit is a number of pages, at least 2')
  if (!(seconds >= 0)) throw new Error('--seconds is for how long builds are killed, in each of the two ways')
  return { limit, seconds }
}

const say = (line: string) => process.stdout.write(`${line}\n`)

/** Shows the time spent on killing builds: a bar on a terminal. */
function progress(name: string) {
  const bar = new SingleBar({
    format: `${name} {bar} {value} of {total} s`,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    barsize: 40,
    hideCursor: true,
    clearOnComplete: true,
  })
  let begun = false
  return {
    update(spent: number, total: number): void {
      if (!process.stdout.isTTY) return
      if (!begun) bar.start(total, 0)
      begun = true
      bar.update(Math.round(spent))
    },
    stop: () => begun && bar.stop(),
  }
}

async function kill(
  name: string,
  rounds: Omit<Parameters<typeof killAgainAndAgain>[0], 'onRound'>,
): Promise<Rounds> {
  const bar = progress(name)
  try {
    return await killAgainAndAgain({ ...rounds, onRound: bar.update })
  } finally {
    bar.stop()
  }
}

const rowsOf = (name: string, { kills, midway, done, visit }: Rounds): Row[] => [
  [`${name}: builds killed`, kills, kills > 0],
  ['  of them halfway', midway, undefined],
  ['  builds that finished', done, done > 0],
  [`  torn reads (of ${visit.reads})`, visit.torn, visit.torn === 0],
]

async function run(workplace: string, { limit, seconds }: Options): Promise<boolean> {
  const [source, out, swapped, reference] = ['sources', 'site', 'swapped', 'reference'].map((name) =>
    join(workplace, name),
  )
  if (!source || !out || !swapped || !reference) throw new Error('unreachable')
  const sources = await copySources(MODULES, source, limit)
  const cli = await bundleCli(workplace)
  say(`${sources.length} Markdown files from ${relative(process.cwd(), MODULES) || MODULES}`)

  const first = await buildToTheEnd(cli, [source, out])
  say(`first build    ${first.stdout.trim().split('\n').at(-1)}`)
  const files = await siteFiles(out)
  const built = await identities(out)

  const second = await buildToTheEnd(cli, [source, out])
  say(`second build   ${second.stdout.trim().split('\n').at(-1)}`)
  const rewritten = changesBetween(built, await identities(out))

  const chosen = sources[Math.floor(sources.length / 2)] ?? ''
  await appendFile(join(source, chosen), '\n\nOne more paragraph.\n')
  const third = await buildToTheEnd(cli, [source, out])
  say(`one changed    ${third.stdout.trim().split('\n').at(-1)}`)
  const touched = changesBetween(built, await identities(out))
  const expected = ['html', 'json', 'txt'].map((kind) => `${folderOf(chosen)}/index.${kind}`)
  const lists = ['index.html', 'rss.xml', 'sitemap.xml']
  const beyond = touched.filter((name) => !expected.includes(name) && !lists.includes(name))
  const missed = expected.filter((name) => !touched.includes(name))

  const incremental = await kill('killing builds', {
    ...{ workplace, cli, out, args: [source, out], files, ms: first.ms, stamped: false, seconds },
  })
  say(
    `killed ${incremental.kills} builds that write into the site, and read ${incremental.visit.reads} changed files`,
  )
  await finish(cli, [source, out])

  const whole = await buildToTheEnd(cli, [source, swapped, '--atomic'])
  const atomic = await kill('killing --atomic builds', {
    ...{
      workplace,
      cli,
      out: swapped,
      args: [source, swapped, '--atomic'],
      files,
      ms: whole.ms,
      stamped: true,
      seconds,
    },
  })
  say(`killed ${atomic.kills} builds that swap the site, and read ${atomic.visit.reads} changed files`)
  await finish(cli, [source, swapped, '--atomic'])

  await finish(cli, [source, reference])
  const unlike = await differences(out, reference)
  const leftovers = await leftoversIn(workplace)
  const rows: Row[] = [
    ['pages', sources.length, undefined],
    ['files of the site', files.length, undefined],
    ['built again: files rewritten', rewritten.length, rewritten.length === 0],
    ['one source changed: its files rewritten', expected.length - missed.length, missed.length === 0],
    ['  lists rewritten', touched.length - beyond.length - expected.length + missed.length, undefined],
    ['  other files rewritten', beyond.length, beyond.length === 0],
    ...rowsOf('into the site', incremental),
    ...rowsOf('--atomic', atomic),
    [
      `  pages from two builds (of ${atomic.visit.looks} looks)`,
      atomic.visit.mixed,
      atomic.visit.mixed === 0,
    ],
    ['files that differ from an undisturbed build', unlike.length, unlike.length === 0],
    ['leftovers (temp, lock and pid files)', leftovers.length, leftovers.length === 0],
  ]
  say(`\n${table(rows)}`)
  const faults = [...incremental.visit.faults, ...atomic.visit.faults]
  for (const line of [...faults, ...beyond, ...unlike, ...leftovers].slice(0, 20)) say(pc.red(`  ${line}`))
  return rows.every(([, , ok]) => ok !== false)
}

async function main(): Promise<void> {
  const chosen = options()
  const started = Date.now()
  const workplace = await mkdtemp(join(tmpdir(), 'site-demo-'))
  const cleanUp = async () => {
    await killAll()
    await rm(workplace, { recursive: true, force: true })
  }
  // `on`, not `once`: the terminal and the program that started this one may both send the signal.
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    process.on(signal, () => void cleanUp().finally(() => process.exit(code)))
  }
  try {
    const ok = await run(workplace, chosen)
    say(`  ${((Date.now() - started) / 1000).toFixed(0)} s\n`)
    say(
      ok
        ? pc.green('Every file read was complete, and with --atomic all pages came from one build.')
        : pc.red('Some checks failed: see the rows marked WRONG.'),
    )
    process.exitCode = ok ? 0 : 1
  } finally {
    await cleanUp()
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`demo: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
})
