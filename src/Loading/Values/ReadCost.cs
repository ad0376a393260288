namespace IlgpuLoader.Loading;

/// <summary>What decides between one long read and several short ones.</summary>
internal static class ReadCost
{
    /// <summary>
    /// What a read costs beside its bytes, expressed in bytes: a disk that streams 2 GB/s and answers after some tens of
    /// microseconds could have brought about this many meanwhile.
    /// </summary>
    public const int Bytes = 64 << 10;
}
