namespace IlgpuLoader.Formats;

/// <summary>A source that gives the bytes of another one, whole or changed.</summary>
internal interface ILayeredByteSource
{
    /// <summary>The source that most bytes come from.</summary>
    IByteSource Under { get; }
}
