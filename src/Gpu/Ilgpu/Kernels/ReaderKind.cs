namespace IlgpuLoader.Gpu;

/// <summary>How a kernel reads stored bytes, by what all its offsets are multiples of.</summary>
internal enum ReaderKind
{
    /// <summary><see cref="FunnelReader"/>: anything.</summary>
    Funnel,

    /// <summary><see cref="WordReader"/>: 4 bytes.</summary>
    Word,

    /// <summary><see cref="WideReader"/>: 8 bytes.</summary>
    Wide,
}
