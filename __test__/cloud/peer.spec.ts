// The optional peer that is not there, or cannot be loaded: the error says what to type.

import { expect } from 'vitest'
import { test } from '../helpers/cloud'
import type { Remote } from '../helpers/processes'

async function refusal({ atomicWrite }: Remote, url: string) {
  async function theCaller() {
    await atomicWrite(url, 'data')
  }
  const error = await theCaller().catch((error) => error)
  const { code, path, message, cause, stack } = error
  return {
    code,
    path,
    message,
    cause: cause?.code ?? cause?.message,
    knowsCaller: /at (async )?theCaller/.test(stack),
  }
}

const code = 'ERR_ATOMIC_NO_CLOUD'
const path = 's3://b/k'

test('a peer that is not installed: the line to type', async ({ project }) => {
  expect(await project.run(refusal, path)).toEqual({
    code,
    path,
    message: `${code}: object stores need another package: npm install @pipeline/atomic-cloud, 's3://b/k'`,
    cause: 'MODULE_NOT_FOUND',
    knowsCaller: true,
  })
})

test('one that is installed while the program runs is found', async ({ project }) => {
  const program = project.start(async ({ atomicWrite, send, receive }) => {
    const { code } = await atomicWrite('s3://b/k', 'data').catch((error) => error)
    const installed = receive()
    send(code)
    await installed
    return atomicWrite('s3://b/k', 'data')
  })
  expect(await program.next()).toBe(code)
  project.installPeer()
  program.send('installed')
  expect(await program.returned).toEqual({ by: 'atomicWrite' })
})

test('one that fails while it is loaded: its own words, and its error as the cause', async ({ project }) => {
  project.installPeer(`throw new Error('no build for this platform\\nmore')`)
  expect(await project.run(refusal, path)).toEqual({
    code,
    path,
    message:
      `${code}: @pipeline/atomic-cloud cannot be loaded: no build for this platform; install it again on this machine: ` +
      `npm install @pipeline/atomic-cloud, 's3://b/k'`,
    cause: 'no build for this platform\nmore',
    knowsCaller: true,
  })
})

test('one that lacks a module of its own is not taken for one that is missing', async ({ project }) => {
  project.installPeer(`require('@pipeline/atomic-cloud-linux')`)
  expect(await project.run(refusal, path)).toMatchObject({
    code,
    message: expect.stringContaining(
      `cannot be loaded: Cannot find module '@pipeline/atomic-cloud-linux'; install`,
    ),
    cause: 'MODULE_NOT_FOUND',
  })
})

test('one that is too old', async ({ project }) => {
  project.installPeer('module.exports = {}')
  expect((await project.run(refusal, path)).message).toBe(
    `${code}: the installed version of @pipeline/atomic-cloud has no 'atomicWrite': update it with ` +
      `npm install @pipeline/atomic-cloud@latest, 's3://b/k'`,
  )
})

test('no message has what is secret in a URL', async ({ project }) => {
  const { message, path } = await project.run(refusal, 'az://user:secret@container/key?sig=secret')
  expect([message, path].join()).not.toContain('secret')
  expect(path).toBe('az://container/key')
})
