/** One builder at a time, also after a crash: a pid alone would keep the next process of that number from building. */

import { spawn } from 'node:child_process'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, expect, test } from 'vitest'
import { becomeBuilder, pidFileOf } from '../../examples/site/lib/pid-file'
import { cliBuild, FIXTURES, leftovers, putPages, start, useWorkplace } from './support'

const place = useWorkplace()

const file = () => join(place.root, '.out.site.pid')
const owner = () => JSON.parse(readFileSync(file(), 'utf8'))
const leave = (content: unknown) => writeFileSync(file(), JSON.stringify(content))

/** The number of a process that has ended, which most likely no other process has. */
async function deadPid(): Promise<number> {
  const child = spawn(process.execPath, ['--version'])
  await new Promise((resolve) => child.once('close', resolve))
  return child.pid as number
}

const myself = { pid: process.pid, host: hostname() }

describe('the file', () => {
  test('says whose it is and since when, and goes with its builder', async () => {
    const release = await becomeBuilder(file())
    expect(owner()).toEqual({ ...myself, started: expect.stringMatching(/./) })
    release()
    expect(await leftovers(place)).toEqual([])
    release()
  })

  test('lies beside the site, whatever name the site is called by', async () => {
    mkdirSync(place.out)
    symlinkSync(place.out, join(place.root, 'alias'))
    expect(await pidFileOf(join(place.root, 'alias'))).toBe(await pidFileOf(place.out))
    expect(await pidFileOf(place.out)).toBe(file())
  })

  test('is not removed by one whose place another has taken', async () => {
    const release = await becomeBuilder(file())
    leave({ ...myself, started: 'another time' })
    release()
    expect(owner().started).toBe('another time')
  })
})

describe('of a builder that crashed', () => {
  test.skipIf(process.platform === 'win32')(
    'whose pid another process has now, it is taken over',
    async () => {
      leave({ ...myself, started: 'long ago' })
      const release = await becomeBuilder(file())
      expect(owner()).toMatchObject({ started: expect.not.stringMatching('long ago') })
      release()
      expect(await leftovers(place)).toEqual([])
    },
  )

  test('whose pid no process has, it is taken over', async () => {
    leave({ ...myself, pid: await deadPid(), started: 'long ago' })
    const release = await becomeBuilder(file())
    expect(owner().pid).toBe(process.pid)
    release()
  })

  test('the next build takes it over and leaves nothing', async () => {
    putPages(place, 'one')
    const death = { call: 'atomicTransaction', nth: 1, when: 'before' } as const
    expect(await cliBuild(place, [], { die: death })).toMatchObject({ signal: 'SIGKILL' })
    expect(await leftovers(place)).toEqual(['.out.site.pid'])
    expect(await cliBuild(place)).toMatchObject({ code: 0, stderr: '' })
    expect(await leftovers(place)).toEqual([])
  })

  test.each([
    [
      'another host',
      { ...myself, host: 'elsewhere', started: 'x' },
      /^process \d+ on elsewhere is building this site/,
    ],
    ['no pid file', { hello: 'world' }, /is not a valid pid file/],
  ])('%s: it is left alone, with a word about what to do', async (_, content, message) => {
    leave(content)
    await expect(becomeBuilder(file())).rejects.toThrow(message)
    expect(owner()).toEqual(content)
  })

  test('what is not even JSON is left alone', async () => {
    writeFileSync(file(), '1234')
    await expect(becomeBuilder(file())).rejects.toThrow(/is not a valid pid file; .* remove it/)
    writeFileSync(file(), '12 or so')
    await expect(becomeBuilder(file())).rejects.toThrow(/is not a valid pid file; .* remove it/)
  })
})

describe('two at once', () => {
  test('the second refuses, says whom it waits for, and writes nothing', async () => {
    putPages(place, 'one')
    const release = await becomeBuilder(file())
    for (const more of [[], ['--atomic']]) {
      const run = await cliBuild(place, more)
      expect(run).toMatchObject({ code: 1, stdout: '' })
      expect(run.stderr).toBe(`site: process ${process.pid} is building this site; wait for it, or end it\n`)
    }
    expect(() => readFileSync(join(place.out, 'index.html'))).toThrow('ENOENT')
    expect(owner().pid).toBe(process.pid)
    release()
  })

  test('in one process, one builds', async () => {
    leave({ ...myself, started: 'long ago' })
    const claims = await Promise.allSettled(Array.from({ length: 8 }, () => becomeBuilder(file())))
    expect(claims.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    for (const claim of claims) if (claim.status === 'fulfilled') claim.value()
  })

  test.each(['there is none', 'a dead one is there'])(
    'of processes that race when %s, one builds',
    async (before) => {
      if (before !== 'there is none') leave({ ...myself, pid: await deadPid(), started: 'long ago' })
      const script = join(FIXTURES, 'claim.ts')
      const rival = async () => {
        const { child, ended } = await start([place.out], { script })
        const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
        return { child, ended, next: async () => (await lines.next()).value as string }
      }
      const rivals = await Promise.all(Array.from({ length: 4 }, rival))
      for (const rival of rivals) expect(await rival.next()).toBe('ready')
      for (const rival of rivals) rival.child.stdin.write('now\n')
      const said = await Promise.all(rivals.map((rival) => rival.next()))
      const winner = said.indexOf('builder')
      expect(owner().pid).toBe(rivals[winner]?.child.pid)
      const refused = `process ${rivals[winner]?.child.pid} is building this site; wait for it, or end it`
      expect(said.sort()).toEqual(['builder', refused, refused, refused])
      for (const { child } of rivals) child.stdin.end()
      await Promise.all(rivals.map(({ ended }) => ended))
      expect(await leftovers(place)).toEqual([])
    },
  )
})
