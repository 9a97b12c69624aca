// A user's project with the package, and with a stand-in for its optional peer, which knows object stores.

import { cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inject } from 'vitest'
import { GROUP_MS } from './group'
import { inProcess, type ProcessOptions, type Remote, type RunningProcess } from './processes'
import { test as base } from './test'

/** A project, in which the package is installed. */
export interface Project {
  /** Where its programs run: an empty folder. */
  folder: string
  /** Installs a peer with this source; by default the stand-in. */
  installPeer(source?: string): void
  /** Runs a function in a process of the project. */
  run<A extends unknown[]>(main: (remote: Remote, ...args: A) => unknown, ...args: A): Promise<any>
  start<A extends unknown[]>(main: (remote: Remote, ...args: A) => unknown, ...args: A): RunningProcess
  options: ProcessOptions
}

/** How long the last calls together took. */
let togetherMs = 0

/** As the `inTime` of files: a failed test is run again if its process was too busy to run the functions of a group in time. */
export const inTime = { retry: { count: 100, condition: () => togetherMs > GROUP_MS } }

export const test = base.extend<{ project: Project }>({
  project: async ({ dir }, use) => {
    const scope = join(dir, 'node_modules/@pipeline')
    const folder = join(dir, 'project')
    const addon = join(scope, 'atomic')
    mkdirSync(folder)
    cpSync(inject('addon'), addon, { recursive: true })
    // With one worker thread calls join a queue one after the other: one that may not wait shows that all before it are there.
    const options = { addon, cwd: folder, env: { UV_THREADPOOL_SIZE: '1' } }
    const start: Project['start'] = (main, ...args) => inProcess(main as never, args as never, options)
    await use({
      folder,
      options,
      installPeer(source) {
        const peer = join(scope, 'atomic-cloud')
        mkdirSync(peer, { recursive: true })
        writeFileSync(join(peer, 'package.json'), '{ "name": "@pipeline/atomic-cloud", "version": "0.1.0" }')
        const main = join(peer, 'index.js')
        if (source === undefined) cpSync(join(import.meta.dirname, 'cloud-peer.cjs'), main)
        else writeFileSync(main, source)
      },
      start,
      run(main, ...args) {
        const running = start(main, ...args)
        togetherMs = 0
        running.next().then(
          (ms) => {
            togetherMs = ms
          },
          () => {},
        )
        return running.returned
      },
    })
  },
})
