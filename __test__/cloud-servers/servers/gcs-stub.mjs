// A stub of Google Cloud Storage, not an emulator: as much of the XML API as a client needs for objects with conditions.
// It tests this project's code on the way to `gs://`, and says nothing about Google's servers. `node gcs-stub.mjs PORT BUCKET`.
//
// Semantics from the documentation of the XML API: each write gives a new generation; `x-goog-if-generation-match: N`
// passes if the live generation is N, with 0 if there is no object; 412 otherwise. Node runs one request's decision at
// a time, and nothing is awaited between the check of a condition and the write.

import { createHash } from 'node:crypto'
import { createServer } from 'node:http'

/** @typedef {{ body: Buffer, generation: number, modified: Date, headers: Record<string, string> }} Stored */

const [port, bucket = ''] = process.argv.slice(2)
/** @type {Map<string, Stored>} */
const objects = new Map()
let generation = Date.now() * 1000

/** @typedef {{ status: number, headers?: Record<string, string>, body?: string | Buffer }} Answer */

const refuse = (/** @type {number} */ status, /** @type {string} */ code) => ({
  status,
  headers: { 'content-type': 'application/xml' },
  body: `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>${code}</Message></Error>`,
})

const etag = (/** @type {Stored} */ { generation }) =>
  `"${createHash('md5').update(`${generation}`).digest('hex')}"`

const about = (/** @type {Stored} */ stored) => ({
  ...stored.headers,
  etag: etag(stored),
  'last-modified': stored.modified.toUTCString(),
  'x-goog-generation': `${stored.generation}`,
})

/** @returns {Answer | undefined} */
function unmet(
  /** @type {import('node:http').IncomingHttpHeaders} */ headers,
  /** @type {Stored | undefined} */ live,
) {
  const wanted = headers['x-goog-if-generation-match']
  if (wanted !== undefined && Number(wanted) !== (live?.generation ?? 0))
    return refuse(412, 'PreconditionFailed')
}

/** @returns {Answer} */
function put(
  /** @type {string} */ key,
  /** @type {import('node:http').IncomingMessage} */ request,
  /** @type {Buffer} */ body,
) {
  const { headers } = request
  const failed = unmet(headers, objects.get(key))
  if (failed) return failed
  const kept = Object.entries(headers).filter(([name]) => /^(content-type|x-goog-meta-)/.test(name))
  let content = { body, headers: Object.fromEntries(kept.map(([name, value]) => [name, `${value}`])) }
  const source = headers['x-goog-copy-source']
  if (source) {
    const path = decodeURIComponent(`${source}`)
      .replace(/^\//, '')
      .slice(bucket.length + 1)
    const from = objects.get(path)
    if (!from) return refuse(404, 'NoSuchKey')
    content = { body: from.body, headers: from.headers }
  }
  const stored = { ...content, generation: ++generation, modified: new Date() }
  objects.set(key, stored)
  const { etag, 'x-goog-generation': version } = about(stored)
  const text = source ? `<CopyObjectResult><ETag>${etag}</ETag></CopyObjectResult>` : ''
  return { status: 200, headers: { etag, 'x-goog-generation': version }, body: text }
}

/** @returns {Answer} */
function list(/** @type {URLSearchParams} */ query) {
  const [prefix, delimiter] = [query.get('prefix') ?? '', query.get('delimiter') ?? '']
  const after = query.get('continuation-token') ?? query.get('start-after') ?? ''
  const most = Number(query.get('max-keys') ?? 1000)
  const quoted = (/** @type {string} */ text) => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`)
  const groups = new Set()
  const contents = []
  let last = ''
  for (const key of [...objects.keys()].filter((key) => key.startsWith(prefix) && key > after).sort()) {
    const cut = delimiter ? key.indexOf(delimiter, prefix.length) : -1
    const group = cut < 0 ? undefined : key.slice(0, cut + delimiter.length)
    if (group !== undefined && group <= after) continue
    if (contents.length + groups.size === most && !groups.has(group)) break
    last = key
    if (group !== undefined) groups.add(group)
    else contents.push(/** @type {[string, Stored]} */ ([key, objects.get(key)]))
  }
  const more = [...objects.keys()].some((key) => key.startsWith(prefix) && key > last && last !== '')
  const entries = contents.map(
    ([key, stored]) =>
      `<Contents><Key>${quoted(key)}</Key><Size>${stored.body.length}</Size><ETag>${quoted(etag(stored))}</ETag>` +
      `<LastModified>${stored.modified.toISOString()}</LastModified></Contents>`,
  )
  const prefixes = [...groups].map(
    (group) => `<CommonPrefixes><Prefix>${quoted(group)}</Prefix></CommonPrefixes>`,
  )
  const next = more ? `<NextContinuationToken>${quoted(last)}</NextContinuationToken>` : ''
  const body = `<ListBucketResult>${entries.join('')}${prefixes.join('')}${next}</ListBucketResult>`
  return { status: 200, headers: { 'content-type': 'application/xml' }, body }
}

/** @returns {Answer} */
function answer(/** @type {import('node:http').IncomingMessage} */ request, /** @type {Buffer} */ body) {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://stub')
  const [, name = '', ...rest] = pathname.split('/')
  const key = decodeURIComponent(rest.join('/'))
  if (decodeURIComponent(name) !== bucket) return refuse(404, 'NoSuchBucket')
  if (key === '') return request.method === 'GET' ? list(searchParams) : refuse(405, 'MethodNotAllowed')
  const live = objects.get(key)
  switch (request.method) {
    case 'PUT':
      return put(key, request, body)
    case 'GET':
    case 'HEAD':
      return live ? { status: 200, headers: about(live), body: live.body } : refuse(404, 'NoSuchKey')
    case 'DELETE': {
      const failed = unmet(request.headers, live)
      if (failed) return failed
      return objects.delete(key) ? { status: 204 } : refuse(404, 'NoSuchKey')
    }
    default:
      return refuse(405, 'MethodNotAllowed')
  }
}

createServer(async (request, response) => {
  const chunks = []
  for await (const chunk of request) chunks.push(chunk)
  const { status, headers = {}, body = '' } = answer(request, Buffer.concat(chunks))
  response.writeHead(status, {
    ...headers,
    'content-length': Buffer.byteLength(body),
    'x-guploader-uploadid': `stub-${++generation}`,
  })
  response.end(request.method === 'HEAD' ? undefined : body)
}).listen(Number(port), '127.0.0.1')
