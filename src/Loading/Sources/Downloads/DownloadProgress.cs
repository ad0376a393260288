namespace IlgpuLoader.Loading;

/// <summary>How far a download is, over all its files. The last report of a download that succeeds is complete.</summary>
/// <param name="Files">Files that are there, those that needed no download among them.</param>
/// <param name="TotalFiles">Files that are wanted.</param>
/// <param name="Bytes">Bytes that are there, those of earlier runs among them.</param>
/// <param name="TotalBytes">Bytes of all files.</param>
/// <param name="FetchedBytes">Bytes that this download has fetched itself: a speed is made of them.</param>
public readonly record struct DownloadProgress(int Files, int TotalFiles, long Bytes, long TotalBytes, long FetchedBytes);
