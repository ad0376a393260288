namespace IlgpuLoader.Loading;

/// <summary>Which hash of its content a name is: the Hub names large files by their SHA-256, and small ones as git does.</summary>
internal enum ContentDigestKind
{
    /// <summary>The name says nothing of the content.</summary>
    None,

    /// <summary>64 hexadecimal digits: SHA-256 of the content.</summary>
    Sha256,

    /// <summary>40 hexadecimal digits: SHA-1 of <c>blob SIZE</c>, a NUL and the content, as git names it.</summary>
    GitBlob,
}
