// A URL whose key cannot be decoded, as the peer's own JavaScript takes it, over an addon that is a stand-in.

import { expect, test } from 'vitest'
import { peerOver } from '../helpers/peer'
import { rejection } from '../helpers/promises'

const opened: string[] = []

class Place {
  constructor(url: string) {
    opened.push(url)
  }
  write = async () => ({ written: true })
}

class Call {}

const load = peerOver({ Call, Place })
const { atomicWrite, atomicWriteAll, list, remove } = load('objects')

const refused = (name: string) => ({
  name: 'TypeError',
  code: 'ERR_INVALID_ARG_VALUE',
  path: 's3://b/100%',
  message: `"${name}" has a "%" that begins no character of UTF-8: in a URL it is written %25. Received 's3://b/100%'`,
})

test('is refused with what is wrong in it, and without what is after a question mark', async () => {
  const url = new URL('s3://b/100%?sig=secret')
  for (const call of [atomicWrite(url, ''), remove(url), list(url).next()]) {
    expect(await rejection(call)).toMatchObject(refused('path'))
  }
  const backup = atomicWrite('s3://b/k', '', { backup: url })
  expect(await rejection(backup)).toMatchObject(refused('options.backup'))
  expect(await rejection(atomicWriteAll([{ path: url, data: '' }]))).toMatchObject(refused('entry.path'))
})

test('is taken where it is a string, or where the percent sign is encoded', async () => {
  opened.length = 0
  await atomicWrite('s3://b/100%', '')
  await atomicWrite(new URL('s3://b/100%25'), '')
  expect(opened).toEqual(['s3://b/100%', 's3://b/100%'])
})
