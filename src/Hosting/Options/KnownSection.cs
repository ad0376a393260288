namespace IlgpuLoader.Hosting;

/// <summary>
/// A section below that of the loader which belongs to other options, as <c>Http</c> does: who registers one (as a singleton) has it known, so that it is no wrong key, and its own keys and
/// values are checked with all others. Reading it is its owner's business (<see cref="SectionReader.Read"/>).
/// </summary>
/// <param name="Key">The section's name, without a path.</param>
/// <param name="OptionsType">The type of its options, which has a constructor without parameters.</param>
internal sealed record KnownSection(string Key, Type OptionsType);
