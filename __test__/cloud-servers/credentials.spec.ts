// Profiles of AWS whose credentials are given by others: by a stub of its token service, which stands in for S3 as well, and by a program.

import { EventEmitter, once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { asOneBucket, type Reader, startReader } from './helpers/profiles'

let server: Server
let reader: Reader
let address: string
let folder: string
/** What was asked, and with which credentials. */
let asked: { what: string; with: string }[]
/** For how long the token service gives keys. */
let seconds: number
/** What the server says of each request for an object. */
let refusal: { status: number; code: string } | undefined
/** The server tells of each request, and answers one for an object after this. */
const requests = new EventEmitter()
let ready: () => Promise<unknown>

const secret = 'a-secret-of-the-token-service'

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'atomic-profiles-'))
  server = createServer(async (request, response) => {
    const form = new URLSearchParams(await text(request))
    const role = form.get('RoleArn')
    asked.push({
      what: role ? asRole(form) : `${request.method} ${asOneBucket(request.url)}`,
      with: credentials(request),
    })
    requests.emit('asked')
    if (role === 'arn:refused') {
      response.statusCode = 403
      return response.end('<Error><Code>AccessDenied</Code><Message>no right to take it</Message></Error>')
    }
    if (request.url === '/container') {
      if (request.headers.authorization !== secret) return response.writeHead(403).end()
      const keys = { AccessKeyId: 'OF-CONTAINER', SecretAccessKey: secret, Token: 'token' }
      return response.end(
        JSON.stringify({ ...keys, Expiration: new Date(Date.now() + 3600_000).toISOString() }),
      )
    }
    if (!role) await ready()
    if (!role && refusal)
      return response
        .writeHead(refusal.status)
        .end(`<Error><Code>${refusal.code}</Code><Message>no</Message></Error>`)
    if (!role) return response.setHeader('etag', '"1"').end('{"a":1}')
    response.end(
      `<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>KEY-OF-${role}</AccessKeyId>
      <SecretAccessKey>${secret}</SecretAccessKey><SessionToken>token-of-${role}</SessionToken>
      <Expiration>${new Date(Date.now() + seconds * 1000).toISOString()}</Expiration></Credentials></AssumeRoleResult>
      </AssumeRoleResponse>`,
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  reader = start()
})

/** A process whose token service is the stub as well. */
const start = (more = {}) => {
  const env = { AWS_ENDPOINT_URL_STS: address, AWS_ROLE_SESSION_NAME: 'specs', ...more }
  return startReader({ folder, endpoint: address, env })
}

beforeEach(() => {
  asked = []
  seconds = 3600
  refusal = undefined
  ready = async () => {}
})

afterAll(async () => {
  await reader.stop()
  server.close()
  rmSync(folder, { recursive: true })
})

const asRole = (form: URLSearchParams) =>
  [...form].flatMap(([name, value]) => (/^(Action|RoleArn|ExternalId)$/.test(name) ? [value] : [])).join(' ')

function credentials({ headers }: IncomingMessage): string {
  const [, key = 'none', service = ''] =
    /Credential=([^/]+)\/\d+\/eu-central-1\/(\w+)\/aws4_request/.exec(headers.authorization ?? '') ?? []
  return [key, service, headers['x-amz-security-token']].filter(Boolean).join(' ')
}

/** Reads an index with this configuration, in a process of its own where there is more in its environment. */
async function read(config: string, times = 1, more?: Record<string, string>): Promise<any> {
  const keys = '[profile keys]\naws_access_key_id = KEY\naws_secret_access_key = own\n'
  const one = more ? start(more) : reader
  const seen = await one.read(`${config}\n${keys}`, times)
  if (more) await one.stop()
  return seen
}

test('a server on this machine gets what a profile has, and no signature only where there are no credentials', async () => {
  const keys = '[profile ci]\naws_access_key_id = OF-CI\naws_secret_access_key = own'
  expect(await read(keys)).toMatchObject({ resolved: { value: { a: 1 } } })
  expect(await read('[profile ci]\nregion = eu-central-1')).toMatchObject({ resolved: { value: { a: 1 } } })
  const half = await read('[profile ci]', 1, { AWS_SECRET_ACCESS_KEY: secret })
  expect(half.seen).not.toContain(secret)
  expect(half).toMatchObject({ code: 'EACCES' })
  expect(asked).toEqual([
    { what: 'GET /b/k', with: 'OF-CI s3' },
    { what: 'GET /b/k', with: 'none' },
  ])
})

test('a role is taken once, with the keys of another profile', async () => {
  const config = '[profile ci]\nrole_arn = arn:one\nsource_profile = keys\nexternal_id = word'
  expect(await read(config, 2)).toMatchObject({ resolved: { value: { a: 1 } } })
  const get = { what: 'GET /b/k', with: 'KEY-OF-arn:one s3 token-of-arn:one' }
  expect(asked).toEqual([{ what: 'AssumeRole arn:one word', with: 'KEY sts' }, get, get])
})

test('a role is taken by way of another one, and again before it expires, while requests go on', async () => {
  seconds = 60
  const count = (what: string) => asked.filter((one) => one.what === what).length
  ready = async () => {
    while (count('GET /b/k') === 2 && count('AssumeRole arn:two') < 2) await once(requests, 'asked')
  }
  const config = `[profile ci]\nrole_arn = arn:two\nsource_profile = between
[profile between]\nrole_arn = arn:one\nsource_profile = keys`
  expect(await read(config, 2)).toMatchObject({ resolved: { value: { a: 1 } } })
  const round = [
    { what: 'AssumeRole arn:one', with: 'KEY sts' },
    { what: 'AssumeRole arn:two', with: 'KEY-OF-arn:one sts token-of-arn:one' },
    { what: 'GET /b/k', with: 'KEY-OF-arn:two s3 token-of-arn:two' },
  ]
  expect(asked.slice(0, 3)).toEqual(round)
  expect(asked.slice(3)).toEqual(expect.arrayContaining(round))
})

test('a role that is not given is told with what the token service says, and without secrets', async () => {
  const error = await read('[profile ci]\nrole_arn = arn:refused\nsource_profile = keys')
  expect(error).toMatchObject({ code: 'EACCES', message: expect.stringContaining('no right to take it') })
  expect(error.seen).not.toMatch(/\bown\b|Signature/)
  expect(asked.every(({ what }) => what === 'AssumeRole arn:refused')).toBe(true)
})

test('a program prints credentials', async () => {
  const script = join(folder, 'print keys.cjs')
  const printed = { Version: 1, AccessKeyId: 'PRINTED', SecretAccessKey: secret, SessionToken: 'token' }
  writeFileSync(script, `console.log(JSON.stringify(${JSON.stringify(printed)}))`)
  const process_ = (command: string) => `[profile ci]\ncredential_process = "${process.execPath}" ${command}`
  expect(await read(process_(`"${script}"`))).toMatchObject({ resolved: { value: { a: 1 } } })
  expect(asked).toEqual([{ what: 'GET /b/k', with: 'PRINTED s3 token' }])
  writeFileSync(script, `console.log(${JSON.stringify(secret)}); process.exit(1)`)
  const error = await read(process_(`"${script}"`))
  expect(error).toMatchObject({ code: 'EACCES', message: expect.stringContaining('has failed with') })
  expect(error.seen).not.toContain(secret)
})

test('a role is taken with a token in a file, and by way of that another one', async () => {
  writeFileSync(join(folder, 'token'), `${secret}\n`)
  const config = `[profile ci]\nrole_arn = arn:two\nsource_profile = web
[profile web]\nrole_arn = arn:web\nweb_identity_token_file = ${join(folder, 'token')}`
  expect(await read(config)).toMatchObject({ resolved: { value: { a: 1 } } })
  expect(asked).toEqual([
    { what: 'AssumeRoleWithWebIdentity arn:web', with: 'none' },
    { what: 'AssumeRole arn:two', with: 'KEY-OF-arn:web sts token-of-arn:web' },
    { what: 'GET /b/k', with: 'KEY-OF-arn:two s3 token-of-arn:two' },
  ])
  const error = await read('[profile ci]\nrole_arn = arn:web\nweb_identity_token_file = /none')
  expect(error).toMatchObject({ code: 'EACCES', message: expect.stringContaining('/none') })
})

test('a container gets credentials from an address, for a token of its own', async () => {
  const uri = { AWS_CONTAINER_CREDENTIALS_FULL_URI: `${address}/container` }
  const get = { what: 'GET /b/k', with: 'OF-CONTAINER s3 token' }
  const plain = await read('[profile ci]', 1, { ...uri, AWS_CONTAINER_AUTHORIZATION_TOKEN: secret })
  expect(plain).toMatchObject({ resolved: { value: { a: 1 } } })
  expect(asked).toEqual([{ what: 'GET /container', with: 'none' }, get])
  writeFileSync(join(folder, 'token'), secret)
  const file = { AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: join(folder, 'token') }
  expect(await read('[profile ci]', 1, { ...uri, ...file })).toMatchObject({ resolved: { value: { a: 1 } } })

  const wrong = await read('[profile ci]', 1, { ...uri, AWS_CONTAINER_AUTHORIZATION_TOKEN: 'wrong-one' })
  expect(wrong).toMatchObject({ code: 'EACCES', message: expect.stringContaining('status 403') })
  expect(wrong.seen).not.toContain('wrong-one')
  const open = await read('[profile ci]', 1, { AWS_CONTAINER_CREDENTIALS_FULL_URI: 'http://192.0.2.1/' })
  expect(open).toMatchObject({ code: 'EACCES', message: expect.stringContaining('without encryption') })
  expect(open.message).toContain('http://192.0.2.1 would be asked')
})

test('services on this machine and its link are asked without a proxy', async () => {
  const proxy = { HTTP_PROXY: address, http_proxy: address }
  const uri = { AWS_CONTAINER_CREDENTIALS_FULL_URI: `${address}/container` }
  await read('[profile ci]', 1, { ...proxy, ...uri, AWS_CONTAINER_AUTHORIZATION_TOKEN: secret })
  // To a proxy a request has a whole URL.
  expect(asked.map(({ what }) => what)).toEqual(['GET /container', expect.stringContaining('GET http://')])
  asked = []
  const role = '[profile ci]\nrole_arn = arn:one\ncredential_source = Ec2InstanceMetadata'
  await read(role, 1, { ...proxy, AWS_METADATA_ENDPOINT: address })
  expect(asked[0]?.what).toBe('PUT /latest/api/token')
})

test('a profile that is not there is named', async () => {
  const error = await read('[profile other]')
  expect(error).toMatchObject({ code: 'EACCES', message: expect.stringMatching(/'ci'.*AWS_PROFILE/) })
  expect(asked).toEqual([])
})

test.each([
  [403, 'RequestTimeTooSkewed', 'EACCES', /Set the clock/],
  [400, 'ExpiredToken', 'EACCES', /have expired: get new ones/],
  [403, 'InvalidAccessKeyId', 'EACCES', /does not know this key/],
  [403, 'SignatureDoesNotMatch', 'EACCES', /does not belong to the key/],
  [400, 'AuthorizationHeaderMalformed', 'EIO', /set AWS_REGION/],
] as const)('what to do when S3 says %s %s', async (status, refused, code, words) => {
  refusal = { status, code: refused }
  const keys = '[profile ci]\naws_access_key_id = OF-CI\naws_secret_access_key = own'
  expect(await read(keys)).toMatchObject({ code, message: expect.stringMatching(words) })
})

test('a server elsewhere without encryption is refused at once, with what to do', async () => {
  const elsewhere = startReader({ folder, endpoint: 'http://192.0.2.1', env: {} })
  const error = await elsewhere.read('[profile ci]\naws_access_key_id = K\naws_secret_access_key = own')
  await elsewhere.stop()
  expect(error).toMatchObject({
    code: 'ERR_INVALID_ARG_VALUE',
    message: expect.stringMatching(/use https:, or set AWS_ALLOW_HTTP/),
  })
})
