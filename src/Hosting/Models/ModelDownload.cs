namespace IlgpuLoader.Hosting;

/// <summary>How far a download is that a load or reload has begun, because its files are not in the cache yet. Immutable.</summary>
/// <param name="Files">Files that are there, those that needed no download among them.</param>
/// <param name="TotalFiles">Files that are wanted.</param>
/// <param name="Bytes">Bytes that are there, those of earlier downloads among them.</param>
/// <param name="TotalBytes">Bytes of all files.</param>
/// <param name="BytesPerSecond">Bytes a second that were fetched lately.</param>
public sealed record ModelDownload(int Files, int TotalFiles, long Bytes, long TotalBytes, double BytesPerSecond)
{
    /// <summary>How much of it is there, 0 to 1; 0 until it is known how much is wanted.</summary>
    public double Fraction => TotalBytes > 0 ? Math.Clamp((double)Bytes / TotalBytes, 0, 1) : 0;
}
