// The test's side of `client.mjs`.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Client {
  pid: number
  /** The numbers of the updates that it has told of, in any task. */
  acknowledged: number[]
  unknown: number[]
  ask(
    task: 'update' | 'adjust' | 'patch' | 'list' | 'publish' | 'release' | 'call' | 'fail',
    ...args: unknown[]
  ): Promise<any>
  /** Resolves with the next update that is acknowledged; never, if none comes any more. */
  nextAcknowledged(): Promise<number>
  /** Ends it with SIGKILL; what it was asked for rejects. */
  kill(): Promise<void>
}

/** Runs `body` with that many processes, which have nothing in their environment but `env`, and ends them. */
export async function withClients<T>(
  addon: string,
  env: Record<string, string>,
  count: number,
  body: (clients: Client[], another: () => Client) => Promise<T>,
): Promise<T> {
  const clients: Client[] = []
  const another = () => {
    const client = startClient(addon, env)
    clients.push(client)
    return client
  }
  const first = Array.from({ length: count }, another)
  try {
    return await body(first, another)
  } finally {
    await Promise.all(clients.map((client) => client.kill()))
  }
}

/** A process that has nothing in its environment but `env`. */
export function startClient(addon: string, env: Record<string, string>): Client {
  const child = fork(join(import.meta.dirname, 'client.mjs'), [addon], {
    env: { PATH: process.env.PATH, HOME: tmpdir(), ...env },
    cwd: tmpdir(),
    execArgv: [],
  })
  const exit = once(child, 'exit')
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: unknown): void }>()
  const listeners: ((number: number) => void)[] = []
  const client: Client = {
    pid: child.pid as number,
    acknowledged: [],
    unknown: [],
    ask(task, ...args) {
      const id = waiting.size
      const answer = new Promise((resolve, reject) => waiting.set(id, { resolve, reject }))
      // One that is killed cannot be told any more.
      child.send({ id, task, args }, () => {})
      return answer
    },
    nextAcknowledged: () => new Promise((resolve) => listeners.push(resolve)),
    async kill() {
      child.kill('SIGKILL')
      await exit
    },
  }
  child.on('message', (message: any) => {
    if ('acknowledged' in message) {
      client.acknowledged.push(message.acknowledged)
      for (const listener of listeners.splice(0)) listener(message.acknowledged)
    } else if ('unknown' in message) {
      client.unknown.push(message.unknown)
    } else {
      const { resolve, reject } = waiting.get(message.id) ?? {}
      if ('error' in message) reject?.(Object.assign(new Error(message.error.message), message.error))
      else resolve?.(message.result)
    }
  })
  // After all messages that it has sent.
  child.on('close', () => {
    for (const { reject } of waiting.values()) reject(new Error('the process has ended'))
  })
  return client
}
