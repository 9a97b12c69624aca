// The crash lab ends with what started it, and leaves no process, mount or loop device, whichever of them is killed, and how. It is killed
// while it records: then it has drives of its own, file systems on them, and threads that wait for these drives.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, expect, test } from 'vitest'
import { build, NO_TIMEOUT, run, whyNot } from './lab'
import { childOf, commandOf, namespaceOf, processesIn, read, runs } from './processes'

const reason = whyNot()
let program = ''

beforeAll(async () => {
  if (!reason) program = await build()
}, NO_TIMEOUT)

/** The processes that one of these tests kills, from outside to inside. */
interface Processes {
  /** A shell that waits for `parent`. All of these are in one process group. */
  shell: number
  /** The program that started the lab. */
  parent: number
  watchdog: number
  lab: number
}

const START = 'require("child_process").spawn(process.argv[1], process.argv.slice(2), { stdio: "inherit" })'

/** Starts the lab and waits until it records. */
async function start(): Promise<{
  processes: Processes
  id: string
  namespace: string
  /** Of the namespace: while it is open, no other lab's gets the same number. */
  descriptor: number
  shell: ChildProcess
}> {
  // The colon keeps the shell from becoming the program that it starts.
  const script = '"$@"; :'
  const args = ['-c', script, 'sh', process.execPath, '-e', START, program, 'power', '--budget', '600']
  const shell = spawn('/bin/sh', args, { detached: true, stdio: ['ignore', 'ignore', 'pipe'] })
  shell.stderr.setEncoding('utf8')
  let output = ''
  shell.stderr.on('data', (chunk) => {
    output += chunk
  })
  const exited = once(shell, 'exit')
  for (;;) {
    const id = /\/(lab-[0-9a-f]{16})/.exec(output)?.[1]
    const parent = childOf(shell.pid)
    const watchdog = childOf(parent)
    const lab = childOf(watchdog)
    const namespace = lab && namespaceOf(lab)
    if (id && shell.pid && parent && watchdog && lab && namespace) {
      const records = processesIn(namespace).some((pid) => commandOf(pid).includes('power.mjs'))
      if (records) {
        const descriptor = openSync(`/proc/${lab}/ns/pid`, 'r')
        return { processes: { shell: shell.pid, parent, watchdog, lab }, id, namespace, descriptor, shell }
      }
    }
    const ended = await Promise.race([exited, sleep(20)])
    if (ended) throw new Error(`the lab has ended:\n${output}`)
  }
}

/** What is left of the lab. */
function left(id: string, namespace: string, { watchdog }: Processes): string[] {
  const devices = readdirSync('/sys/block').filter((name) =>
    read(() => readFileSync(`/sys/block/${name}/loop/backing_file`, 'utf8'), '').includes(id),
  )
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n')
  return [
    ...processesIn(namespace).map((pid) => `process ${pid}: ${commandOf(pid)}`),
    ...(runs(watchdog) ? ['the watchdog'] : []),
    ...devices,
    ...mounts.filter((line) => line.includes('crash-lab-scratch')),
  ]
}

const victims: Record<string, (processes: Processes) => number[]> = {
  'the program that started it': ({ parent }) => [parent],
  'a program further up': ({ shell }) => [shell],
  'its watchdog': ({ watchdog }) => [watchdog],
  'the lab itself': ({ lab }) => [lab],
  'both of its processes': ({ watchdog, lab }) => [watchdog, lab],
  'the whole process group': ({ shell }) => [-shell],
}

for (const [name, choose] of Object.entries(victims)) {
  test.skipIf(reason)(
    `nothing is left after a kill of ${name}`,
    async () => {
      const { processes, id, namespace, descriptor, shell } = await start()
      try {
        // At some moment.
        await sleep(Math.random() * 500)
        expect(left(id, namespace, processes)).not.toEqual([])
        for (const victim of choose(processes)) process.kill(victim, 'SIGKILL')
        // Within seconds: what a killed process waits for comes soon, or never.
        for (let look = 0; look < 1000 && left(id, namespace, processes).length > 0; look++) await sleep(100)
        expect(left(id, namespace, processes)).toEqual([])
      } finally {
        for (const pid of [processes.lab, processes.watchdog, processes.parent]) {
          if (runs(pid)) process.kill(pid, 'SIGKILL')
        }
        if (shell.exitCode === null && shell.signalCode === null) await once(shell, 'exit')
        closeSync(descriptor)
      }
    },
    NO_TIMEOUT,
  )
}

test.skipIf(reason)('it does not start when the program that started it has ended already', async () => {
  // It finds another parent then; here it expects another one.
  const { code, output } = await run(program, ['power'], 1)
  expect(output).toContain('has ended already')
  expect(code).toBe(1)
})
