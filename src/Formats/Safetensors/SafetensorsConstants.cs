namespace IlgpuLoader.Formats.Safetensors;

/// <summary>Fixed names and sizes of the format (safetensors README, "Format"; formats.md section 1).</summary>
internal static class SafetensorsConstants
{
    /// <summary>The format's name in messages and listings.</summary>
    public const string Format = "safetensors";

    /// <summary>The file name's ending.</summary>
    public const string Extension = ".safetensors";

    /// <summary>The length field: an unsigned 64-bit little-endian number.</summary>
    public const int LengthBytes = 8;

    /// <summary>The one key of the header that is not a tensor.</summary>
    public const string MetadataKey = "__metadata__";

    /// <summary>The header is padded so that the data begins at a multiple of this (reference writer).</summary>
    public const int HeaderAlignment = 8;

    /// <summary>
    /// Nesting allowed in the header. The reference parses with serde_json, which refuses the 128th level.
    /// </summary>
    public const int MaximumDepth = 127;
}
