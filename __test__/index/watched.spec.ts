// What programs see that watch an index.

import { type FSWatcher, watch } from 'node:fs'
import { atomicIndexUpdate } from '@pipeline/atomic'
import { expect, onTestFinished } from 'vitest'
import { increment, readJson, writeJson } from '../helpers/index-file'
import { needs } from '../helpers/needs'
import { until } from '../helpers/promises'

const watched = (path: string) => {
  const events: string[] = []
  const watcher: FSWatcher = watch(path, (event, name) => events.push(`${event} ${name}`))
  onTestFinished(() => watcher.close())
  return events
}

for (const backup of [false, true]) {
  needs('linux')(`the file is replaced and not changed, with backup: ${backup}`, async ({ file }) => {
    writeJson(file, { n: 1 })
    const events = watched(file)
    await atomicIndexUpdate(file, increment, { backup })
    await until(() => events.includes('rename index.json'))
    // A 'change' before that would make programs look at the old version, and miss the new one: a link would be one.
    // (Without a backup the old version has lost its name: that is its change.)
    expect(events[0]).toBe(backup ? 'rename index.json' : 'change index.json')
  })

  needs('linux')(`each version gets its name once, with backup: ${backup}`, async ({ dir, file }) => {
    writeJson(file, { n: 0 })
    const events = watched(dir)
    for (let n = 1; n <= 3; n++) await atomicIndexUpdate(file, increment, { backup })
    const named = () => events.filter((event) => event === 'rename index.json').length
    // An exchange is two: of the one that goes and of the one that comes.
    await until(() => named() === (backup ? 6 : 3))
    expect(readJson(file)).toEqual({ n: 3 })
  })
}
