// A run of the crash lab that is stopped ends as one whose time is over: it reports what it has checked, and is judged by that. One that
// is asked for what there is not says what there is.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { build, NO_TIMEOUT, run, whyNot } from './lab'
import { childOf, commandOf, namespaceOf, processesIn } from './processes'

const reason = whyNot()
let program = ''
const folder = mkdtempSync(join(tmpdir(), 'atomic-crash-lab-'))
afterAll(() => rmSync(folder, { recursive: true }))

beforeAll(async () => {
  if (!reason) program = await build()
}, NO_TIMEOUT)

/** Runs the lab, which would take hours, and stops it when it runs `script`. `whom`: of the process that was started. */
async function stopped(args: string[], script: string, signal: NodeJS.Signals, whom = (pid: number) => pid) {
  // A process group of its own, as in a terminal.
  const lab = spawn(program, args, {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [lab.stdout, lab.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk) => {
      output += chunk
    })
  }
  const closed = once(lab, 'close')
  const pid = lab.pid ?? 0
  try {
    for (;;) {
      const namespace = namespaceOf(childOf(pid) ?? 0)
      const all = namespace ? processesIn(namespace) : []
      if (all.some((process) => commandOf(process).includes(script))) break
      const ended = await Promise.race([closed, sleep(20)])
      if (ended) throw new Error(`the lab has ended:\n${output}`)
    }
    process.kill(whom(pid), signal)
    const [code] = await closed
    const [, looked, all] = /^\w+: ([\d,]+) of ([\d,]+) (?:states|checks)$/m.exec(output) ?? []
    const count = (text?: string) => Number(text?.replaceAll(',', ''))
    return { code, looked: count(looked), all: count(all), output }
  } finally {
    if (lab.exitCode === null && lab.signalCode === null) lab.kill('SIGKILL')
  }
}

const FIGURES =
  '<!-- figures: begin (made by `crash-lab all --write`, not by hand) -->\nall\n<!-- figures: end -->\n'

test.skipIf(reason)(
  'Ctrl-C, which a terminal sends to the whole process group, ends a run with what it has checked so far; its figures replace none, and its report says that it was stopped',
  async () => {
    const [page, json] = [join(folder, 'figures.md'), join(folder, 'report.json')]
    writeFileSync(page, FIGURES)
    const args = ['power', '--scene', 'transactions', '--write', page, '--json', json]
    const { code, looked, all, output } = await stopped(args, 'recover.mjs', 'SIGINT', (pid) => -pid)
    expect(looked, output).toBeGreaterThan(0)
    expect(all).toBeGreaterThan(10_000)
    expect(looked).toBeLessThan(all)
    expect(output).toContain(`| power | ${looked} | 0 | 0 |`)
    expect(code, output).toBe(0)
    expect(readFileSync(page, 'utf8'), output).toBe(FIGURES)
    expect(output).toContain(`${page} is as it was`)
    expect(JSON.parse(readFileSync(json, 'utf8')).stopped).toBe(true)
  },
  NO_TIMEOUT,
)

test.skipIf(reason)(
  'SIGTERM does the same: worker threads that are terminated again and again end after the round that is under way',
  async () => {
    const [page, json] = [join(folder, 'filesystems.md'), join(folder, 'filesystems.json')]
    writeFileSync(page, FIGURES)
    const args = ['filesystems', '--write', page, '--json', json]
    const { code, looked, all, output } = await stopped(args, 'workers.mjs', 'SIGTERM')
    const [, workers] = /^\| 32 worker threads, terminated \| 0 \/ ([\d,]+) \|/m.exec(output) ?? []
    // Of 60 rounds.
    expect(Number(workers?.replaceAll(',', '')), output).toBeLessThan(32 * 10)
    // That many, and what the walks of the other places check.
    expect(all).toBeGreaterThan(60 * 32)
    expect(all).toBeLessThan(60 * 32 + 500)
    expect(looked).toBeLessThan(all)
    expect(code, output).toBe(0)
    expect(readFileSync(page, 'utf8'), output).toBe(FIGURES)
    expect(JSON.parse(readFileSync(json, 'utf8')).stopped).toBe(true)
  },
  NO_TIMEOUT,
)

test.skipIf(reason)('a run that has nothing to check fails', async () => {
  const { code, output } = await run(program, ['power', '--scene', 'no such scene'])
  expect(output).toContain('FAILED: nothing was checked')
  expect(code).toBe(1)
})

test.skipIf(reason)('what it does not know is answered with its usage', async () => {
  const said = async (...args: string[]) => {
    const { code, output } = await run(program, args)
    return { code, lines: output.trimEnd().split('\n') }
  }
  const usage = (await said('--help')).lines
  expect(usage[0]).toMatch(/^usage: crash-lab mutants\|/)
  expect(usage.length).toBeLessThan(5)
  for (const [args, complaint] of [
    [['powr'], /powr/],
    [['power', '--scenes', 'x'], /--scenes/],
    [['power', '--budget', 'x'], /"x"/],
    [[], /section/],
  ] as const) {
    const { code, lines } = await said(...args)
    expect(lines[0]).toMatch(complaint)
    expect(lines.slice(1)).toEqual(usage)
    expect(code).toBe(2)
  }
})
