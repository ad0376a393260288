using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Reflection;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using IlgpuLoader.Formats;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;

namespace IlgpuLoader.Hosting;

/// <summary>Binds <see cref="HttpOptions"/> and says all that is wrong with them at once, each with its key.</summary>
/// <param name="section">The section; null for none.</param>
internal sealed class HttpOptionsReader(IConfigurationSection? section) : IConfigureOptions<HttpOptions>, IValidateOptions<HttpOptions>
{
    private static readonly PropertyInfo[] Properties = typeof(HttpOptions).GetProperties(BindingFlags.Public | BindingFlags.Instance);

    private readonly string _path = section?.Path ?? HttpOptions.SectionName;
    private readonly List<string> _unbound = [];

    /// <inheritdoc/>
    public void Configure(HttpOptions options)
    {
        _unbound.Clear();
        foreach (var child in section?.GetChildren() ?? [])
        {
            var property = Array.Find(Properties, property => string.Equals(property.Name, child.Key, StringComparison.OrdinalIgnoreCase));
            if (property is null)
            {
                _unbound.Add($"{child.Path}: there is no such key; there are {string.Join(", ", Properties.Select(known => known.Name))}.");
            }
            else if (property.Name == nameof(HttpOptions.AllowedHosts))
            {
                BindHosts(options, child);
            }
            else if (child.Value is not { } text)
            {
                _unbound.Add($"{child.Path}: one value is expected, and there are several.");
            }
            else if (!TryConvert(text, property.PropertyType, out var value))
            {
                _unbound.Add($"{child.Path}: {Quoted.Name(text)} is no {Describe(property.PropertyType)}.");
            }
            else
            {
                property.SetValue(options, value);
            }
        }
    }

    /// <inheritdoc/>
    public ValidateOptionsResult Validate(string? name, HttpOptions options)
    {
        var problems = new List<string>(_unbound);
        foreach (var property in Properties)
        {
            foreach (var range in property.GetCustomAttributes<RangeAttribute>())
            {
                if (!range.IsValid(property.GetValue(options)))
                {
                    problems.Add($"{_path}:{property.Name}: {property.GetValue(options)} is not from {range.Minimum} to {range.Maximum}.");
                }
            }
        }

        _ = TokenFile.Read(options, out var tokenProblem);
        if (tokenProblem is not null)
        {
            problems.Add($"{_path}:{(options.TokenFile is null ? nameof(HttpOptions.Token) : nameof(HttpOptions.TokenFile))}: {tokenProblem}.");
        }

        if (options.CertificateFile is not null)
        {
            ValidateCertificate(options, problems);
        }
        else if (options.CertificateKeyFile is not null)
        {
            problems.Add($"{_path}:{nameof(HttpOptions.CertificateKeyFile)}: there is a key and no {nameof(HttpOptions.CertificateFile)}.");
        }

        return problems.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(problems);
    }

    /// <summary>Reads the certificate with its key.</summary>
    public static X509Certificate2 ReadCertificate(HttpOptions options) => X509Certificate2.CreateFromPemFile(options.CertificateFile!, options.CertificateKeyFile);

    private void ValidateCertificate(HttpOptions options, List<string> problems)
    {
        try
        {
            ReadCertificate(options).Dispose();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or CryptographicException or ArgumentException)
        {
            problems.Add($"{_path}:{nameof(HttpOptions.CertificateFile)}: the certificate or its key cannot be read: {Quoted.Plain(exception.Message)}");
        }
    }

    // A list, or one text with semicolons, as an environment variable has it.
    private static void BindHosts(HttpOptions options, IConfigurationSection child)
    {
        var hosts = child.Value is { } text ? text.Split(';', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries) : child.GetChildren().Select(item => item.Value ?? "");
        foreach (var host in hosts)
        {
            options.AllowedHosts.Add(host);
        }
    }

    private static bool TryConvert(string text, Type type, out object? value)
    {
        value = null;
        if (type == typeof(string))
        {
            value = text;
            return true;
        }

        try
        {
            value = TypeDescriptor.GetConverter(type).ConvertFromInvariantString(text);
            return value is not null;
        }
        // What these converters throw is not written down anywhere, and wraps what parsing throws.
        catch (Exception exception) when (exception is FormatException or OverflowException or ArgumentException)
        {
            return false;
        }
    }

    private static string Describe(Type type) => type == typeof(bool) ? "true or false" : type == typeof(TimeSpan) ? "time such as 00:00:15" : "whole number";
}
