import { equal, rejects } from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { atomicWrite } from '@pipeline/atomic'

test('a file is written', async () => {
  await atomicWrite('node-test.txt', 'written')
  equal(readFileSync('node-test.txt', 'utf8'), 'written')
})

test('a bad argument rejects', () => rejects(atomicWrite('a', 1), { code: 'ERR_INVALID_ARG_TYPE' }))
