namespace IlgpuLoader.Formats.Pickle;

/// <summary>An opcode that is refused.</summary>
/// <param name="Opcode">Which.</param>
/// <param name="Offset">Where it is, from the start of the pickle.</param>
internal readonly record struct PickleRecordedOpcode(PickleOpcode Opcode, long Offset);
