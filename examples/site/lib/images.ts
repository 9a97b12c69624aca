/** Images, as small as they get without looking different. The libraries are loaded only when one has changed. */

/** Of vector images, scripts go as well: a logo somebody drew is no place for them. */
export async function optimizeSvg(svg: string): Promise<string> {
  const { optimize } = await import('svgo')
  return optimize(svg, { multipass: true, plugins: ['preset-default', 'removeScripts'] }).data
}

/** A square PNG of a vector image, for places that take no other. */
export async function rasterize(svg: string, size: number): Promise<Buffer> {
  const { losslessCompressPng, Transformer } = await import('@napi-rs/image')
  return losslessCompressPng(await Transformer.fromSvg(svg).resize(size, size).png(), { strip: true })
}

/**
 * The same image in fewer bytes, in its own format: it is known by its name. One that does not get smaller
 * stays as it is, as do kinds that cannot be made smaller here.
 *
 * @throws Error if it is not the image that its name says.
 */
export async function optimizeImage(name: string, bytes: Buffer): Promise<Buffer> {
  const kind = name.slice(name.lastIndexOf('.') + 1).toLowerCase()
  if (kind === 'svg') return Buffer.from(await optimizeSvg(bytes.toString()))
  const { compressJpeg, losslessCompressPng } = await import('@napi-rs/image')
  const smaller =
    kind === 'png'
      ? await losslessCompressPng(bytes, { strip: true })
      : kind === 'jpg' || kind === 'jpeg'
        ? await compressJpeg(bytes)
        : bytes
  return smaller.length < bytes.length ? smaller : bytes
}
