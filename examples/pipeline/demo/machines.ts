/**
 * Machines for the demo: network namespaces, each of which reaches this machine by a link of its own and nothing else. That takes Linux,
 * root and iproute2; elsewhere they are processes of this machine.
 *
 * A shell makes them and waits for the end of its input, which comes when this process ends, in whatever way. Then it removes them.
 */

import { spawn } from 'node:child_process'
import { once } from 'node:events'

export interface Machine {
  /** What a command line begins with to run there. */
  run: readonly string[]
  env?: Readonly<Record<string, string>>
}

export interface Machines {
  all: Machine[]
  /** The address of this machine, as they see it. */
  host: string
  /** Why they are only processes of this machine. */
  missing?: string
  stop(): Promise<void>
}

/** Of the addresses that are kept free for measurements between networks (RFC 2544). */
const NETWORK = `198.18.${process.pid % 256}`
const NAME = `pipeline-${process.pid}`

const SCRIPT = `
set -e
clean() {
  for i in $machines; do ip link del "$link$i" || true; ip netns del "$name-$i" || true; done
} 2>/dev/null
trap clean EXIT
for i in $machines; do
  ip netns add "$name-$i"
  ip link add "$link$i" type veth peer name eth0 netns "$name-$i"
  ip addr add "$network.1" peer "$network.1$i" dev "$link$i"
  ip link set "$link$i" up
  ip -n "$name-$i" addr add "$network.1$i" peer "$network.1" dev eth0
  ip -n "$name-$i" link set eth0 up
done
echo ready
cat >/dev/null
`

export async function openMachines(count: number): Promise<Machines> {
  const numbers = Array.from({ length: count }, (_, i) => i + 1)
  const here = (missing: string): Machines => ({
    all: numbers.map(() => ({ run: [] })),
    host: '127.0.0.1',
    missing,
    stop: async () => {},
  })
  if (process.platform !== 'linux') return here('network namespaces are a part of Linux')
  const child = spawn('sh', ['-c', SCRIPT], {
    // In a process group of its own: an interrupt of the terminal is for the demo, which then ends the input.
    detached: true,
    env: {
      PATH: `${process.env.PATH}:/usr/sbin:/sbin`,
      ...{ machines: numbers.join(' '), name: NAME, link: `pl${process.pid}-`, network: NETWORK },
    },
  })
  const ended = once(child, 'close')
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text
  })
  const isReady = await Promise.race([once(child.stdout, 'data').then(() => true), ended.then(() => false)])
  if (!isReady) return here(errors.trim().split('\n')[0] ?? '')
  return {
    all: numbers.map((i) => ({ run: ['ip', 'netns', 'exec', `${NAME}-${i}`] })),
    host: `${NETWORK}.1`,
    async stop() {
      child.stdin.end()
      await ended
    },
  }
}
