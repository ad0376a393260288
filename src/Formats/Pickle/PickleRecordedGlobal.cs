namespace IlgpuLoader.Formats.Pickle;

/// <summary>A global that a pickle names.</summary>
/// <param name="Module">The module, as the file spells it.</param>
/// <param name="Name">The name in it.</param>
/// <param name="Offset">Where the opcode is, from the start of the pickle.</param>
/// <param name="Verdict">What the settings say of it.</param>
internal readonly record struct PickleRecordedGlobal(string Module, string Name, long Offset, PickleGlobalVerdict Verdict);
