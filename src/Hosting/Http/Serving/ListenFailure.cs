using System.Net.Sockets;
using IlgpuLoader.Formats;
using Microsoft.AspNetCore.Connections;

namespace IlgpuLoader.Hosting;

/// <summary>Says why an address could not be listened on, and what to do.</summary>
internal static class ListenFailure
{
    private const string Choose = $"Choose another address ({HttpOptions.SectionName}:{nameof(HttpOptions.Urls)}, --urls).";

    /// <summary>The failure with what to do.</summary>
    /// <param name="exception">What Kestrel has thrown: of an address that is taken it says which, of others the system's error alone.</param>
    /// <param name="urls">The addresses that were asked for.</param>
    public static IOException Of(Exception exception, string urls)
    {
        var message = exception.Message.TrimEnd('.');
        var text = exception is SocketException ? $"Cannot listen on {Quoted.Plain(urls)}: {message}" : message;
        return new IOException($"{text}: {Advice(exception)}", exception);
    }

    private static string Advice(Exception exception) => (exception as SocketException ?? exception.InnerException as SocketException)?.SocketErrorCode switch
    {
        SocketError.AccessDenied => $"ports below 1024 take a privilege (CAP_NET_BIND_SERVICE), and a socket a folder that can be written. {Choose}",
        SocketError.AddressNotAvailable => $"no network interface of this machine has that address. {Choose}",
        SocketError.AddressFamilyNotSupported => $"this machine has no such addresses (IPv6 may be off). {Choose}",
        _ when exception.InnerException is AddressInUseException || exception is SocketException { SocketErrorCode: SocketError.AddressAlreadyInUse } => $"is another server there? {Choose}",
        _ => Choose,
    };
}
