/** Images, as small as they get without looking different. The libraries are loaded only when one has changed. */

/** Of vector images, scripts go as well: a logo somebody drew is no place for them. */
export async function optimizeSvg(svg: string): Promise<string> {
  const { optimize } = await import('svgo')
  return optimize(svg, { multipass: true, plugins: ['preset-default', 'removeScripts'] }).data
}

/** A square PNG of a vector image, for places that take no other. */
export async function rasterize(svg: string, size: number): Promise<Buffer> {
  const { default: sharp } = await import('sharp')
  return sharp(Buffer.from(svg), { density: 300 })
    .resize(size, size)
    .png({ compressionLevel: 9, palette: true })
    .toBuffer()
}

const ENCODERS = {
  png: { compressionLevel: 9, effort: 10 },
  jpeg: { mozjpeg: true },
  webp: { effort: 6 },
} as const

/**
 * The same image in fewer bytes, in its own format: it is known by its name. One that does not get smaller
 * stays as it is, as do kinds that cannot be made smaller here.
 *
 * @throws Error if it is not the image that its name says.
 */
export async function optimizeImage(name: string, bytes: Buffer): Promise<Buffer> {
  const kind = name
    .slice(name.lastIndexOf('.') + 1)
    .toLowerCase()
    .replace('jpg', 'jpeg')
  if (kind === 'svg') return Buffer.from(await optimizeSvg(bytes.toString()))
  if (kind !== 'png' && kind !== 'jpeg' && kind !== 'webp') return bytes
  const { default: sharp } = await import('sharp')
  const smaller = await sharp(bytes, { failOn: 'error' })
    .keepIccProfile()
    .autoOrient()
    .toFormat(kind, ENCODERS[kind])
    .toBuffer()
  return smaller.length < bytes.length ? smaller : bytes
}
