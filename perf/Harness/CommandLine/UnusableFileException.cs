namespace IlgpuLoader.Harness;

/// <summary>A file that the command line names, or the room for data, is not what it must be: said in a line, without a trace.</summary>
internal sealed class UnusableFileException(string message, Exception? inner = null) : Exception(message, inner);
