// A run of the crash lab that is stopped ends as one whose time is over: it reports what it has checked, and is judged by that. One that
// is asked for what there is not says what there is.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, expect, test } from 'vitest'
import { build, NO_TIMEOUT, run, whyNot } from './lab'
import { childOf, commandOf, namespaceOf, processesIn } from './processes'

const reason = whyNot()
let program = ''

beforeAll(async () => {
  if (!reason) program = await build()
}, NO_TIMEOUT)

/** Runs the lab, which would take hours, and stops it when it checks states. `whom`: of the process that was started. */
async function stopped(signal: NodeJS.Signals, whom: (pid: number) => number) {
  // A process group of its own, as in a terminal.
  const lab = spawn(program, ['power', '--scene', 'transactions'], {
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
      if (all.some((process) => commandOf(process).includes('recover.mjs'))) break
      const ended = await Promise.race([closed, sleep(20)])
      if (ended) throw new Error(`the lab has ended:\n${output}`)
    }
    process.kill(whom(pid), signal)
    const [code] = await closed
    const [, looked, all] = /^power: ([\d,]+) of ([\d,]+) states$/m.exec(output) ?? []
    const count = (text?: string) => Number(text?.replaceAll(',', ''))
    return { code, looked: count(looked), all: count(all), output }
  } finally {
    if (lab.exitCode === null && lab.signalCode === null) lab.kill('SIGKILL')
  }
}

const ways: [string, NodeJS.Signals, (pid: number) => number][] = [
  ['Ctrl-C, which a terminal sends to the whole process group', 'SIGINT', (pid) => -pid],
  ['SIGTERM', 'SIGTERM', (pid) => pid],
]

for (const [name, signal, whom] of ways) {
  test.skipIf(reason)(
    `${name} ends a run with what it has checked so far`,
    async () => {
      const { code, looked, all, output } = await stopped(signal, whom)
      expect(looked, output).toBeGreaterThan(0)
      expect(all).toBeGreaterThan(10_000)
      expect(looked).toBeLessThan(all)
      expect(output).toContain(`| power | ${looked} | 0 | 0 |`)
      expect(code, output).toBe(0)
    },
    NO_TIMEOUT,
  )
}

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
