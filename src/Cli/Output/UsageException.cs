namespace IlgpuLoader.Cli.Output;

/// <summary>The command line asks for something that does not go together.</summary>
internal sealed class UsageException(string message, Exception? innerException = null) : Exception(message, innerException)
{
    /// <summary>What a library refuses among the values that the user typed, without the parameter's name, which they did not.</summary>
    public static UsageException From(ArgumentException exception)
    {
        var name = $" (Parameter '{exception.ParamName}')";
        var message = exception.Message;
        return new UsageException(message.EndsWith(name, StringComparison.Ordinal) ? message[..^name.Length] : message, exception);
    }
}
