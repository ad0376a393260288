namespace IlgpuLoader.Formats;

/// <summary>What holding records against their checksums gave.</summary>
/// <param name="Mismatches">The records whose bytes are not those that were written, in the order of the file.</param>
/// <param name="Without">How many records have bytes and no checksum.</param>
/// <param name="Unreadable">How many records are encrypted, or compressed in a way that is not read.</param>
internal sealed record RecordChecksumFindings(IReadOnlyList<RecordMismatch> Mismatches, int Without, int Unreadable);
