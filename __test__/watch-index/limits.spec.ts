// A system that has nothing more to watch with: the error says what there is too little of, for which file, and what to do.

import { join } from 'node:path'
import { expect } from 'vitest'
import { writeJson } from '../helpers/index-file'
import { needs } from '../helpers/needs'
import { inProcess, type Remote } from '../helpers/processes'
import { systemCalls } from '../helpers/system-calls'

const watch = ({ watchIndex }: Remote, path: string) =>
  watchIndex(path)
    .next()
    .then(
      () => undefined,
      ({ code, errno, syscall, path, message }: NodeJS.ErrnoException) => ({
        code,
        errno,
        syscall,
        path,
        message,
      }),
    )

const limits = [
  ['inotify_init1', 'EMFILE', -24, /no more inotify instances, .*fs\.inotify\.max_user_instances/],
  ['inotify_add_watch', 'ENOSPC', -28, /no more inotify watches, .*fs\.inotify\.max_user_watches/],
] as const

for (const [call, code, errno, message] of limits) {
  needs('strace that may attach')(`${call} fails: ${code}`, async ({ dir, file }) => {
    writeJson(file, {})
    const { returned } = await systemCalls(watch, [file], {
      trace: [call],
      inject: [`${call}:error=${code}`],
    })
    expect(returned).toEqual({
      ...{ code, errno, syscall: 'watch', path: join(dir, 'index.json') },
      message: expect.stringMatching(message),
    })
    expect(returned?.message).toContain(`watch '${file}'`)
  })
}

needs('linux')(
  'the process may open no more files: that is told, and no limit of inotify',
  async ({ file }) => {
    writeJson(file, {})
    const all = async ({ watchIndex, require }: Remote, path: string) => {
      const { closeSync, openSync } = require('node:fs') as typeof import('node:fs')
      const open: number[] = []
      try {
        for (;;) open.push(openSync('/dev/null', 'r'))
      } catch {}
      const told = await watchIndex(path)
        .next()
        .then(
          () => undefined,
          ({ code, path, message }: NodeJS.ErrnoException) => ({ code, path, message }),
        )
      for (const fd of open) closeSync(fd)
      return told
    }
    const child = inProcess(all, [file], { before: 'ulimit -n 256' })
    expect(await child.returned).toEqual({
      ...{ code: 'EMFILE', path: file },
      message: expect.stringMatching(/^EMFILE: too many open files, watch '.*': .*ulimit -n/),
    })
  },
)
