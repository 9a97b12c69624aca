import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { atomicWrite } from '@pipeline/atomic'
import { describe, expect } from 'vitest'
import { leftovers, names, state, written } from '../helpers/files'
import { needs } from '../helpers/needs'
import { inProcess } from '../helpers/processes'
import { rejection } from '../helpers/promises'
import { buildRefuse, refusing } from '../helpers/refuse'
import { test } from '../helpers/test'

buildRefuse()

const taken = { code: 'EEXIST', syscall: 'open' }

describe('flag wx', () => {
  test('makes a file that was not there', async ({ dir }) => {
    expect(await atomicWrite(join(dir, 'a', 'file'), 'x', { flag: 'wx' })).toStrictEqual(written(dir, 1))
    expect(readFileSync(join(dir, 'a', 'file'), 'utf8')).toBe('x')
  })

  test('leaves a file that is there as it is', async ({ dir }) => {
    const path = join(dir, 'file')
    writeFileSync(path, 'old')
    const before = state(path)
    expect(await rejection(atomicWrite(path, 'new', { flag: 'wx' }))).toMatchObject({ ...taken, path })
    expect(state(path)).toStrictEqual(before)
    expect(names(dir)).toStrictEqual(['file'])
  })

  test('rejects also where the same bytes are there, with ifChanged', async ({ dir }) => {
    writeFileSync(join(dir, 'file'), 'same')
    const error = await rejection(atomicWrite(join(dir, 'file'), 'same', { flag: 'wx', ifChanged: true }))
    expect(error).toMatchObject(taken)
  })

  test('does not follow a dangling link', async ({ dir }) => {
    symlinkSync('nowhere', join(dir, 'link'))
    expect(await rejection(atomicWrite(join(dir, 'link'), 'x', { flag: 'wx' }))).toMatchObject(taken)
    expect(names(dir)).toStrictEqual(['link'])
  })

  test('follows links to the folder', async ({ dir }) => {
    mkdirSync(join(dir, 'real'))
    symlinkSync('real', join(dir, 'link'))
    await atomicWrite(join(dir, 'link', 'file'), 'x', { flag: 'wx' })
    expect(names(join(dir, 'real'))).toStrictEqual(['file'])
  })

  test('lets one of many calls of a process win, the first', async ({ dir }) => {
    const calls = Array.from({ length: 40 }, (_, i) => atomicWrite(join(dir, 'file'), `${i}`, { flag: 'wx' }))
    const outcomes = await Promise.allSettled(calls)
    expect(outcomes.map(({ status }) => status === 'fulfilled')).toStrictEqual(calls.map((_, i) => i === 0))
    expect(readFileSync(join(dir, 'file'), 'utf8')).toBe('0')
    expect(leftovers(dir)).toStrictEqual([])
  })
})

describe('of several processes that use wx at once exactly one wins', () => {
  const rounds = 40

  async function race(dir: string, before?: string) {
    const racers = Array.from({ length: 4 }, (_, racer) =>
      inProcess(
        async ({ atomicWrite, send, receive }, dir, racer, rounds) => {
          const go = receive()
          send('ready')
          await go
          const won: number[] = []
          for (let round = 0; round < rounds; round++) {
            const data = `${racer}`.repeat(1000)
            const wins = await atomicWrite(`${dir}/${round}`, data, { flag: 'wx', flush: false }).then(
              () => true,
              (error) => {
                if (error.code !== 'EEXIST') throw error
                return false
              },
            )
            if (wins) won.push(round)
          }
          return won
        },
        [dir, racer, rounds],
        before === undefined ? {} : { before },
      ),
    )
    await Promise.all(racers.map((racer) => racer.next()))
    for (const racer of racers) racer.send('go')
    const won: number[][] = await Promise.all(racers.map((racer) => racer.returned))
    expect(won.flat().sort((a, b) => a - b)).toStrictEqual(
      Array.from({ length: rounds }, (_, round) => round),
    )
    won.forEach((wins, racer) => {
      for (const round of wins)
        expect(readFileSync(join(dir, `${round}`), 'utf8')).toBe(`${racer}`.repeat(1000))
    })
    expect(names(dir)).toHaveLength(rounds)
  }

  test('time after time', ({ dir }) => race(dir))

  needs('linux', 'a C compiler')('where staged files have names', ({ dir }) =>
    race(dir, refusing({ tmpfile: 'EOPNOTSUPP' })),
  )

  needs('linux', 'a C compiler')('where a rename always replaces', ({ dir }) =>
    race(dir, refusing({ tmpfile: 'EOPNOTSUPP', renameat2: 'EINVAL' })),
  )
})
